"""Loading of the grammar files into slot fillers and frames."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from phrasebook import clock
from phrasebook.entries import (
    Adjective,
    Noun,
    Person,
    Verb,
    parse_activity,
    parse_adjective,
    parse_noun,
    parse_verb,
)
from phrasebook.tokens import Pair, parse_pair, split_equation

_BUILT: dict[str, Callable[[], list[Pair]]] = {
    "clock": clock.clock_times,
    "morningclock": lambda: clock.clock_times(range(6, 10)),
    "eveningclock": lambda: clock.clock_times(range(6, 11)),
    "dayclock": lambda: [*clock.clock_times(range(8, 12)), *clock.clock_times(range(1, 5))],
    "timetable": clock.timetable,
    "date": clock.dates,
    "month": clock.months,
    "pair": lambda: clock.numbers(2, 4),
    "few": lambda: clock.numbers(2, 6),
    "allage": lambda: clock.numbers(4, 30),
    "platform": lambda: clock.numbers(2, 16),
    "roomnumber": lambda: clock.numbers(2, 30),
    "drinkprice": lambda: clock.prices(2, 6),
    "dishprice": lambda: clock.prices(4, 16),
    "sumprice": lambda: clock.prices(8, 17),
    "highprice": lambda: clock.round_prices(),
    "rent": clock.hundreds,
}


@dataclass(slots=True)
class Lexicon:
    """All words of the grammar, by class."""

    nouns: dict[str, list[Noun]] = field(default_factory=dict)
    by_english: dict[str, Noun] = field(default_factory=dict)
    adjectives: dict[str, Adjective] = field(default_factory=dict)
    adjectives_for: dict[str, list[Adjective]] = field(default_factory=dict)
    verbs: dict[str, list[Verb]] = field(default_factory=dict)
    phrases: dict[str, list[Pair]] = field(default_factory=dict)
    persons: dict[str, list[Person]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """A sentence template with its slots and its English-German variants."""

    name: str
    slots: dict[str, str]
    variants: tuple[tuple[str, str], ...]
    weight: int = 1


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _load_nouns(data: dict[str, Any], lexicon: Lexicon) -> None:
    for name, lines in data["classes"].items():
        lexicon.nouns[name] = [parse_noun(line, name) for line in lines]
        for noun in lexicon.nouns[name]:
            if noun.en in lexicon.by_english:
                raise ValueError(f"the noun {noun.en!r} is defined twice")
            lexicon.by_english[noun.en] = noun
    for name, members in data["groups"].items():
        lexicon.nouns[name] = [lexicon.by_english[m.strip()] for m in members.split(",")]


def _load_adjectives(data: dict[str, Any], lexicon: Lexicon) -> None:
    lexicon.adjectives = {}
    for line in data["words"]:
        adjective = parse_adjective(line)
        lexicon.adjectives[adjective.en[0]] = adjective
    for name, members in data["for"].items():
        lexicon.adjectives_for[name] = [lexicon.adjectives[m.strip()] for m in members.split(",")]


def _load_verbs(data: dict[str, Any], lexicon: Lexicon) -> None:
    known: dict[str, Verb] = {}
    for line in data["words"]:
        verb = parse_verb(line)
        key = f"{verb.en[0]}>{verb.prefix}{verb.de}"
        known[key] = verb
        lexicon.verbs[key] = [verb]
    for name, lines in data["activities"].items():
        lexicon.verbs[name] = [parse_activity(line, known) for line in lines]
    for name, table in data["with_objects"].items():
        verbs = []
        for key, objects in table.items():
            verb = known[key]
            classes = tuple(o.strip() for o in objects.split(","))
            verbs.append(
                Verb(
                    verb.en, verb.de, verb.prefix, verb.forms, verb.participle, verb.aux,
                    verb.imperative, classes,
                )
            )  # fmt: skip
        lexicon.verbs[name] = verbs


def _expand(line: str, phrases: dict[str, list[Pair]]) -> list[Pair]:
    match = re.search(r"<(\w+)>", line)
    if match is None:
        return [parse_pair(*split_equation(line))]
    out = []
    for pair in phrases[match[1]]:
        left, right = split_equation(line)
        en = left.replace(match[0], pair.en[0][0])
        de = right.replace(match[0], pair.de[0][0])
        out.append(parse_pair(en, de))
    return out


def _load_phrases(data: dict[str, Any], lexicon: Lexicon) -> None:
    for name, build in _BUILT.items():
        lexicon.phrases[name] = build()
    for name, lines in data.items():
        lexicon.phrases[name] = [pair for line in lines for pair in _expand(line, lexicon.phrases)]


def _person(name: str, row: str) -> Person:
    en, de, rest = (part.strip() for part in row.split("|"))
    index, possessive, reflexive = rest.split(" ", 2)
    en_forms = [form.strip() for form in en.split(",")]
    de_forms = [form.strip() for form in de.split(",")]
    accusative, _, dative = reflexive.partition("/")
    return Person(
        name=name,
        index=int(index),
        en=(en_forms[0], en_forms[1], en_forms[2]),
        de=(de_forms[0], de_forms[1], de_forms[2]),
        possessive=possessive,
        reflexive=(accusative, dative or accusative),
    )


def _load_persons(data: dict[str, Any], lexicon: Lexicon) -> None:
    for name, rows in data["persons"].items():
        lexicon.persons[name] = [_person(name, row) for row in rows]
    you = {person.name: person for name in ("du", "ihr", "sie") for person in lexicon.persons[name]}
    for name, form in (("addr_du", "du"), ("addr_ihr", "ihr"), ("addr_sie", "sie")):
        base = you[form]
        lexicon.persons[name] = [
            Person(name, base.index, base.en, base.de, base.possessive, base.reflexive, voc=pair)
            for line in data[name]
            for pair in [parse_pair(*split_equation(line))]
        ]
    for name, members in data["groups"].items():
        parts = [part.strip() for part in members.split(",")]
        lexicon.persons[name] = [person for part in parts for person in lexicon.persons[part]]


def _load_frames(path: Path) -> list[Frame]:
    frames = []
    for entry in _read(path):
        lines = [line for line in entry["text"].splitlines() if line.strip()]
        if len(lines) % 2:
            raise ValueError(f"frame {entry['id']!r} has an odd number of lines")
        variants = tuple(zip(lines[::2], lines[1::2], strict=True))
        slots, weight = entry.get("slots") or {}, entry.get("weight", 1)
        frames.append(Frame(entry["id"], slots, variants, weight))
    return frames


def load(folder: Path) -> tuple[Lexicon, list[Frame]]:
    """Read every grammar file of a folder."""
    lexicon = Lexicon()
    _load_nouns(_read(folder / "nouns.yaml"), lexicon)
    _load_adjectives(_read(folder / "adjectives.yaml"), lexicon)
    _load_verbs(_read(folder / "verbs.yaml"), lexicon)
    _load_phrases(_read(folder / "phrases.yaml"), lexicon)
    _load_persons(_read(folder / "persons.yaml"), lexicon)
    frames = [f for path in sorted(folder.glob("frames_*.yaml")) for f in _load_frames(path)]
    if len({frame.name for frame in frames}) != len(frames):
        raise ValueError("two frames share a name")
    return lexicon, frames
