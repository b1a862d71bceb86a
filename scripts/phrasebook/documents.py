"""Documents of two or four sentences in which German needs the gender of a preceding noun.

Each topic is a sentence that names a thing and one with a pronoun for it. The contrastive test set
has every second sentence after nouns of all three genders. So a model that does not read the first
sentence is right in one of three cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from phrasebook import german
from phrasebook.entries import Noun, parse_adjective, parse_noun
from phrasebook.generate import GRAMMAR, Draw
from phrasebook.lexicon import Lexicon, load
from phrasebook.realise import realise
from phrasebook.values import AdjectiveValue, NounValue, PersonValue, Value

TOPICS = GRAMMAR.parents[1] / "phrasebook_documents" / "topics.yaml"
SEED = "documents"
DOCUMENTS = {"valid": 150, "test": 150, "train": 3000}
CONTRASTS = 100  # second sentences, each after nouns of three genders
GENDERS = ("m", "f", "n")
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: sentences that name a thing, and sentences with a pronoun for it."""

    nouns: dict[str, dict[str, list[Noun]]]
    first: tuple[Pair, ...]
    then: tuple[Pair, ...]
    adjectives: dict[str, list[AdjectiveValue]]


@dataclass(frozen=True, slots=True)
class Spoken:
    """Two sentence pairs; the second one has a pronoun.

    Attributes:
        first: The sentence that names the thing.
        then: The sentence with the pronoun, and its translation with the pronoun of each gender.
        gender: The right gender.
    """

    first: Pair
    then: tuple[str, dict[str, str]]
    gender: str

    def pairs(self) -> tuple[Pair, Pair]:
        """Return both sentence pairs."""
        return self.first, (self.then[0], self.then[1][self.gender])


def load_topics(path: Path = TOPICS) -> tuple[Lexicon, list[Topic]]:
    """Read the topics and the words of the phrasebook."""
    lexicon, _ = load(GRAMMAR)
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    nouns = dict(lexicon.by_english)
    for line in data["nouns"]:
        noun = parse_noun(line, "documents")
        if noun.en in nouns:
            raise ValueError(f"the noun {noun.en!r} is defined twice")
        nouns[noun.en] = noun
    for line in data["adjectives"]:
        adjective = parse_adjective(line)
        lexicon.adjectives.setdefault(adjective.en[0], adjective)
    return lexicon, [_topic(entry, nouns, lexicon) for entry in data["topics"]]


def _topic(entry: dict[str, Any], nouns: dict[str, Noun], lexicon: Lexicon) -> Topic:
    by_slot = {}
    for slot, names in entry["nouns"].items():
        members = [nouns[name.strip()] for name in names.split(",")]
        by_slot[slot] = {g: [n for n in members if n.gender == g] for g in GENDERS}
    adjectives = {
        slot: [AdjectiveValue(lexicon.adjectives[name.strip()]) for name in names.split(",")]
        for slot, names in (("a", entry["adjectives"]), ("b", entry.get("others", "")))
        if names
    }
    first, then = ([(en, de) for en, de in entry[key]] for key in ("first", "then"))
    return Topic(by_slot, tuple(first), tuple(then), adjectives)


def speak(
    topic: Topic,
    then: Pair,
    adjectives: dict[str, Value],
    gender: str,
    lexicon: Lexicon,
    draw: Draw,
) -> Spoken:
    """Draw the words of a topic whose second sentence is given; its thing has this gender."""
    antecedent = "p" if "{p.it" in then[1] else "n"
    values: dict[str, Value] = dict(adjectives)
    values["s"] = PersonValue(draw.pick(lexicon.persons["pron"]))
    for slot, by_gender in topic.nouns.items():
        mine = gender if slot == antecedent else draw.pick([g for g in GENDERS if g != gender])
        values[slot] = NounValue(draw.pick(by_gender[mine]))
    first = realise(draw.pick(topic.first), values)
    translations = {}
    for other in GENDERS:
        case = "acc" if ".it.acc" in then[1] else "nom"
        pronoun = german.determiner("it", other, case)
        text = then[1].replace(f"{{{antecedent}.it.acc}}", pronoun)
        text = text.replace(f"{{{antecedent}.it}}", pronoun)
        second = realise((then[0], text), values)
        translations[other] = second.de
    return Spoken((first.en, first.de), (second.en, translations), gender)


def generate(
    seed: str = SEED, path: Path = TOPICS
) -> tuple[dict[str, list[list[Pair]]], list[Spoken]]:
    """Compose the documents of each split, and the contrastive test set.

    No document of a test is in the training text.
    """
    lexicon, topics = load_topics(path)
    draw = Draw(seed)
    seen: set[tuple[Pair, Pair]] = set()
    contrasts: list[Spoken] = []
    while len(contrasts) < CONTRASTS * len(GENDERS):
        topic, then, adjectives = _second(topics, draw)
        found = [speak(topic, then, adjectives, g, lexicon, draw) for g in GENDERS]
        if not any(one.pairs() in seen for one in found):
            seen |= {one.pairs() for one in found}
            contrasts += found
    splits: dict[str, list[list[Pair]]] = {}
    for split, wanted in DOCUMENTS.items():
        splits[split] = []
        while len(splits[split]) < wanted:
            document = []
            for _ in range(draw.pick((1, 2))):
                topic, then, adjectives = _second(topics, draw)
                one = speak(topic, then, adjectives, draw.pick(GENDERS), lexicon, draw)
                document.append(one.pairs())
            if not any(pairs in seen for pairs in document):
                seen |= set(document) if split != "train" else set()
                splits[split].append([pair for pairs in document for pair in pairs])
    return splits, contrasts


def _second(topics: list[Topic], draw: Draw) -> tuple[Topic, Pair, dict[str, Value]]:
    """Draw a topic, and its second sentence with its adjectives."""
    topic = draw.pick(topics)
    adjectives: dict[str, Value] = {
        slot: draw.pick(found) for slot, found in topic.adjectives.items()
    }
    return topic, draw.pick(topic.then), adjectives


def write(splits: dict[str, list[list[Pair]]], contrasts: list[Spoken], folder: Path) -> None:
    """Write the files: a blank line is between two documents."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, documents in splits.items():
        for side, language in enumerate(("en", "de")):
            texts = ["".join(f"{pair[side]}\n" for pair in pairs) for pairs in documents]
            (folder / f"{split}.{language}").write_bytes("\n".join(texts).encode("utf-8"))
    columns: dict[str, list[list[str]]] = {
        "en": [],
        "right.de": [],
        "wrong-1.de": [],
        "wrong-2.de": [],
    }
    for one in contrasts:
        wrong = [text for gender, text in one.then[1].items() if gender != one.gender]
        columns["en"].append([one.first[0], one.then[0]])
        for name, text in zip(list(columns)[1:], (one.pairs()[1][1], *wrong), strict=True):
            columns[name].append([one.first[1], text])
    for name, documents_of in columns.items():
        texts = ["".join(f"{line}\n" for line in lines) for lines in documents_of]
        (folder / f"contrastive.{name}").write_bytes("\n".join(texts).encode("utf-8"))
