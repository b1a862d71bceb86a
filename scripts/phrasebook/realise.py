"""Realises a frame and the fillers of its slots as sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from phrasebook import english, german
from phrasebook.entries import Person
from phrasebook.tokens import Token, Words, attach, capitalise, links
from phrasebook.values import AUXILIARIES, PersonValue, Value

_ITEM = re.compile(
    r"^(?:\{(?P<ref>[^}]+)\}|(?P<text>[^_=\s]+?))(?:(?P<op>[_=])(?P<keys>\w+))?(?P<punct>[.,!?;:]*)$"
)
_FIXED_INDEX = {"ich": 0, "sg": 2, "wir": 3, "pl": 5}


@dataclass(frozen=True, slots=True)
class Item:
    """One element of a template: a literal word or a reference to a slot."""

    text: str
    name: str
    feats: tuple[str, ...]
    agree: str
    replace: bool
    keys: frozenset[str]
    punct: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence pair with its word links."""

    en: str
    de: str
    align: tuple[tuple[int, int], ...]


@cache
def parse_template(text: str) -> tuple[Item, ...]:
    """Read one language side of a frame."""
    items = []
    for word in text.split():
        match = _ITEM.match(word)
        if match is None:
            raise ValueError(f"cannot read {word!r} in the template {text!r}")
        body, _, agree = (match["ref"] or "").partition("@")
        name, *feats = body.split(".")
        keys = frozenset(
            f"{key.lower()}.d" if key.isupper() else f".{key}" for key in match["keys"] or ""
        )
        items.append(
            Item(
                match["text"] or "", name, tuple(feats), agree, match["op"] == "=", keys,
                match["punct"],
            )
        )  # fmt: skip
    return tuple(items)


def _agreement(name: str, values: dict[str, Value]) -> tuple[int, Person | None]:
    if name in _FIXED_INDEX:
        return _FIXED_INDEX[name], None
    value = values.get(name)
    if isinstance(value, PersonValue):
        return value.person.index, value.person
    return 2, None


def _auxiliary(item: Item, lang: str, values: dict[str, Value]) -> Words:
    index, person = _agreement(item.agree, values)
    if lang == "en":
        text = english.auxiliary(item.name, index)
        if text is None:
            text = english.third_person(item.name) if index == 2 else item.name
        return [Token(word) for word in text.split()]
    if item.name in ("refl", "reflD") and person is not None:
        return [Token(person.reflexive[item.name == "reflD"])]
    forms = AUXILIARIES.get(item.name) or german.conjugate_regular(item.name)
    return [Token(forms[index])]


def _words(item: Item, lang: str, values: dict[str, Value]) -> Words:
    if item.text:
        return [Token(item.text)]
    value = values.get(item.name)
    if value is None:
        return _auxiliary(item, lang, values)
    index, person = _agreement(item.agree, values)
    if person is None and item.agree:
        person = Person("", index, ("", "", ""), ("", "", ""), "", ("", ""))
    return value.render(lang, item.name, item.feats, person)


def side(template: str, lang: str, values: dict[str, Value]) -> Words:
    """Return the words of one language."""
    out: Words = []
    for item in parse_template(template):
        for word in _words(item, lang, values):
            keys = item.keys if item.replace else word.keys | item.keys
            if "again" in item.feats:  # a second mention is not linked to the first
                keys = frozenset(f"{key}+" for key in keys)
            out.append(Token(word.text, keys, word.fixed))
        attach(out, item.punct)
    out = german.contract(out) if lang == "de" else english.articles(out)
    return capitalise(out)


def realise(variant: tuple[str, str], values: dict[str, Value]) -> Sentence:
    """Return the sentence pair of a frame variant with its links."""
    en, de = side(variant[0], "en", values), side(variant[1], "de", values)
    return Sentence(
        " ".join(word.text for word in en),
        " ".join(word.text for word in de),
        tuple(links(en, de)),
    )
