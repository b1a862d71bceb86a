"""Lexical entries and how each reads its line of the grammar files."""

from __future__ import annotations

from dataclasses import dataclass, field

from phrasebook import english, german
from phrasebook.tokens import Pair, parse_pair, split_equation

_GENDER = {"der": "m", "die": "f", "das": "n"}


@dataclass(frozen=True, slots=True)
class Adjective:
    """An adjective with its degrees and the stem its endings are added to."""

    en: tuple[str, str, str]
    de: tuple[str, str, str]
    stem: str


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun with gender, both numbers and, for places, its prepositions."""

    en: str
    en_plural: str
    de: str
    gender: str
    plural: str
    weak: str
    home: str
    to: str = ""
    at: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Person:
    """A speaker, an addressee or a person who is mentioned."""

    name: str
    index: int
    en: tuple[str, str, str]
    de: tuple[str, str, str]
    possessive: str
    reflexive: tuple[str, str]
    voc: Pair = Pair((), ())
    noun: Noun | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb of both languages, with a fixed complement if it has one."""

    en: tuple[str, ...]
    de: str
    prefix: str
    forms: tuple[str, ...]
    participle: str
    aux: str
    imperative: str
    objects: tuple[str, ...] = ()
    rest: Pair = field(default=Pair((), ()))


def parse_adjective(line: str) -> Adjective:
    """Read 'cheap/cheaper/cheapest = billig/billiger/billigst[/stem]'."""
    left, right = split_equation(line)
    en, de = left.split("/"), right.split("/")
    if len(en) == 1:
        en = [en[0], f"more {en[0]}", f"most {en[0]}"]
    if len(de) == 1:
        root = de[0].removesuffix("e")
        de = [de[0], root + "er", root + ("est" if root[-1] in "tdsßz" else "st")]
    stem = de[3] if len(de) > 3 else de[0]
    return Adjective((en[0], en[1], en[2]), (de[0], de[1], de[2]), stem)


def parse_noun(line: str, home: str) -> Noun:
    """Read 'station = der Bahnhof, Bahnhöfe[, weak form][ : to zu, at an]'."""
    left, right = split_equation(line)
    body, _, places = right.partition(" : ")
    article, rest = body.split(" ", 1)
    parts = [part.strip() for part in rest.split(",")]
    en, slash, en_plural = left.partition("/")
    to, at = "", ("", "")
    if places:
        first, second = (part.split() for part in places.split(","))
        to, at = first[1], (second[0], second[1])
    return Noun(
        en=en,
        en_plural=en_plural if slash else english.plural(en),
        de=parts[0],
        gender=_GENDER[article],
        plural=parts[1],
        weak=parts[2] if len(parts) > 2 else "",
        home=home,
        to=to,
        at=at,
    )


def parse_verb(line: str, objects: tuple[str, ...] = ()) -> Verb:
    """Read 'take/took/taken = nehmen, nimmt, hat genommen[, imperative]'."""
    left, right = split_equation(line)
    principal = left.split("/")
    base, space, particle = principal[0].partition(" ")
    tail = space + particle
    parts = [part.strip() for part in right.split(",")]
    prefix, bar, simple = parts[0].rpartition("|")
    aux, participle = parts[2].split()
    return Verb(
        en=(
            principal[0],
            english.third_person(base) + tail,
            principal[1],
            principal[-1],
            english.ing(base) + tail,
        ),
        de=simple,
        prefix=prefix if bar else "",
        forms=german.conjugate(simple, parts[1]),
        participle=participle,
        aux="haben" if aux == "hat" else "sein",
        imperative=parts[3] if len(parts) > 3 else german.familiar_imperative(simple),
        objects=objects,
    )


def parse_activity(line: str, verbs: dict[str, Verb]) -> Verb:
    """Read 'go / to_1 the_1 cinema_2 = ins_1 Kino_2 + gehen' with a known verb."""
    left, right = split_equation(line)
    base, _, en_rest = left.partition(" / ")
    middle, plus, infinitive = right.rpartition("+ ")
    verb = verbs[f"{base.strip()}>{infinitive.strip() if plus else right.strip()}"]
    rest = parse_pair(en_rest.strip(), middle.strip()) if en_rest else Pair((), ())
    return Verb(
        verb.en, verb.de, verb.prefix, verb.forms, verb.participle, verb.aux, verb.imperative,
        verb.objects, rest,
    )  # fmt: skip
