"""Drawing of sentence pairs from the frames, splitting and writing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from phrasebook.entries import Adjective, Noun
from phrasebook.lexicon import Frame, Lexicon, load
from phrasebook.realise import Sentence, realise
from phrasebook.values import (
    AdjectiveValue,
    NounValue,
    PersonValue,
    PhraseValue,
    Value,
    VerbValue,
)

GRAMMAR = Path(__file__).resolve().parents[2] / "data" / "phrasebook" / "grammar"
PER_FRAME = 170
HELD_OUT = 500
SEED = "phrasebook"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sentence pair and the frame it was composed from."""

    frame: str
    sentence: Sentence


class Draw:
    """A seeded source of choices that is the same on every Python version."""

    def __init__(self, seed: str) -> None:
        """Seed the source with a text."""
        self._random = random.Random(seed)

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[int(self._random.random() * len(options))]

    def shuffle(self, items: list[T]) -> None:
        """Shuffle a list in place."""
        for i in range(len(items) - 1, 0, -1):
            j = int(self._random.random() * (i + 1))
            items[i], items[j] = items[j], items[i]


def _members(table: dict[str, list[T]], names: str) -> list[T]:
    return [member for name in names.split("|") for member in table[name]]


def _adjective(noun: Noun, rule: str, lexicon: Lexicon, draw: Draw) -> Adjective | None:
    name = rule.partition("=")[2] or noun.home
    return draw.pick(lexicon.adjectives_for[name])


def _noun(words: list[str], values: dict[str, Value], lexicon: Lexicon, draw: Draw) -> NounValue:
    names = words[1]
    if names.startswith("$"):
        verb = values[names[1:]]
        if not isinstance(verb, VerbValue):
            raise ValueError(f"{names} is not a verb slot")
        names = draw.pick(verb.verb.objects)
    noun = draw.pick(_members(lexicon.nouns, names))
    rule = words[2] if len(words) > 2 else ""
    if not rule or (rule.startswith("maybe") and draw.pick((True, False))):
        return NounValue(noun)
    return NounValue(noun, _adjective(noun, rule, lexicon, draw))


def fill(spec: str, values: dict[str, Value], lexicon: Lexicon, draw: Draw) -> Value:
    """Choose a filler for a slot; later slots may depend on earlier ones."""
    words = spec.split()
    if words[0] == "noun":
        return _noun(words, values, lexicon, draw)
    if words[0] == "verb":
        return VerbValue(draw.pick(_members(lexicon.verbs, " ".join(words[1:]))))
    if words[0] == "person":
        groups = words[1].split("|")
        group = draw.pick([*groups, "ich"] if "pron" in groups else groups)
        return PersonValue(draw.pick(lexicon.persons[group]))
    if words[0] == "adj":
        return AdjectiveValue(draw.pick(lexicon.adjectives_for[words[1]]))
    return PhraseValue(draw.pick(_members(lexicon.phrases, words[1])))


def _same_filler_twice(values: dict[str, Value]) -> bool:
    seen: list[object] = []
    for value in values.values():
        content: object = value.noun if isinstance(value, NounValue) else value
        if isinstance(value, PersonValue) and len(value.person.de[0].split()) == 1:
            content = value.person
        if content in seen:
            return True
        seen.append(content)
    return False


def compose(frame: Frame, lexicon: Lexicon, seed: str, wanted: int = PER_FRAME) -> list[Sentence]:
    """Draw up to the wanted number of distinct pairs, times the weight of the frame."""
    wanted *= frame.weight
    draw = Draw(f"{seed}/{frame.name}")
    found: list[Sentence] = []
    seen: set[str] = set()
    misses = 0
    while len(found) < wanted and misses < 300:
        variant = draw.pick(frame.variants)
        values: dict[str, Value] = {}
        for slot, spec in frame.slots.items():
            values[slot] = fill(spec, values, lexicon, draw)
        misses += 1
        if _same_filler_twice(values):
            continue
        sentence = realise(variant, values)
        if sentence.en in seen or sentence.de in seen:
            continue
        seen.update((sentence.en, sentence.de))
        found.append(sentence)
        misses = 0
    return found


def generate(seed: str = SEED, folder: Path = GRAMMAR) -> dict[str, list[Drawn]]:
    """Compose all frames and deal them out to train, valid and test."""
    lexicon, frames = load(folder)
    seen_en: set[str] = set()
    seen_de: set[str] = set()
    piles: list[list[Drawn]] = []
    for frame in frames:
        pile = []
        for sentence in compose(frame, lexicon, seed):
            if sentence.en not in seen_en and sentence.de not in seen_de:
                seen_en.add(sentence.en)
                seen_de.add(sentence.de)
                pile.append(Drawn(frame.name, sentence))
        piles.append(pile)
    return _deal(piles, seed)


def _deal(piles: list[list[Drawn]], seed: str) -> dict[str, list[Drawn]]:
    splits: dict[str, list[Drawn]] = {"valid": [], "test": [], "train": []}
    for name in ("valid", "test"):
        for turn in range(HELD_OUT):
            splits[name].append(piles[turn % len(piles)].pop())
    splits["train"] = [drawn for pile in piles for drawn in pile]
    for name, drawn in splits.items():
        Draw(f"{seed}/{name}").shuffle(drawn)
    return splits


def write(splits: dict[str, list[Drawn]], folder: Path) -> None:
    """Write each split as three parallel text files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawn in splits.items():
        columns = {
            "en": [d.sentence.en for d in drawn],
            "de": [d.sentence.de for d in drawn],
            "align": [" ".join(f"{i}-{j}" for i, j in d.sentence.align) for d in drawn],
        }
        for suffix, lines in columns.items():
            path = folder / f"{name}.{suffix}"
            path.write_bytes(("\n".join(lines) + "\n").encode("utf-8"))
