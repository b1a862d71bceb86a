"""Short reports with headlines and questions, whose names are invented.

A report has one sentence with the news, and other sentences that are less important. A headline has
only names of the news. The names of the validation and test sets occur in no training text, so a
model has to copy them from the report.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

SIZES = {"valid": 200, "test": 400, "train": 5000}
_WORDS = """
starts: Ba, Be, Bri, Ca, Da, Do, Dra, El, Fa, Fe, Ga, Gri, Ha, Hel, Jo, Ka, Kre, Lo, Lu, Ma, Mi, Mor
starts: Na, No, Or, Pa, Pe, Pra, Ra, Ro, Sa, Se, Sko, Ta, Te, Tri, Ul, Va, Vel, Wa, Wi, Za, Zo
middles: da, dri, ga, go, ka, ki, la, lo, ma, mi, na, ne, ra, ri, sa, so, ta, ti, va, vo
ends: bek, dal, don, far, gard, hus, kin, lan, mar, nor, rik, sen, sta, tal, ton, vik
day: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday
goods: apples, bricks, coffee, copper, cotton, flour, oranges, paper, rice, salt, sugar, timber
job: a baker, a doctor, a farmer, a judge, a lawyer, a teacher, an actor, an engineer
work: bridge, library, market, museum, railway station, road, school, town hall
weather: floods, fog, frost, hail, heavy rain, snow, storms, thunder
"""
_SLOTS = ("day", "goods", "job", "work", "weather")


def _words(kind: str) -> list[str]:
    """Return the words of a kind, which may take several lines."""
    lines = (line.split(": ") for line in _WORDS.strip().splitlines())
    return [word for name, words in lines if name == kind for word in words.split(", ")]


@dataclass(frozen=True)
class Kind:
    """A kind of report; words in braces are replaced.

    Attributes:
        news: What has happened; one of these sentences is used.
        others: Further sentences, of which one to three are used.
        headline: The headline of the report.
        questions: Questions about the news, with the word that answers each.
    """

    news: tuple[str, ...]
    others: tuple[str, ...]
    headline: str
    questions: tuple[tuple[str, str], ...]


KINDS = (
    Kind(
        ("{a} has had {weather} since {day}.", "On {day} {weather} surprised {a}."),
        (
            "Trains to {b} run late.",
            "{c}, who lives in {b}, said it was worse last year.",
            "The schools of {b} stay closed for {n} days.",
            "In {b} the sun was shining.",
        ),
        "{weather} in {a}",
        (("Where was the weather bad?", "{a}"), ("What was the weather like?", "{weather}")),
    ),
    Kind(
        (
            "A ship with {n} tons of {goods} from {b} reached {a} on {day}.",
            "On {day} {n} tons of {goods} from {b} came to {a} by ship.",
        ),
        (
            "Captain {c} said that the sea was calm.",
            "The next ship will go to {d}.",
            "Workers from {d} unloaded the ship within {m} hours.",
        ),
        "{a} receives {goods} from {b}",
        (
            ("Where did the ship arrive?", "{a}"),
            ("Where did the ship come from?", "{b}"),
            ("What did the ship carry?", "{goods}"),
        ),
    ),
    Kind(
        ("{a} won against {b} by {n} points on {day}.", "{b} lost by {n} points to {a} on {day}."),
        (
            "{c} of {d} watched the match.",
            "The next match is in {d}.",
            "{m} people came, many of them from {d}.",
        ),
        "{a} beats {b} by {n} points",
        (
            ("Who won?", "{a}"),
            ("Who lost?", "{b}"),
            ("By how many points was the match won?", "{n}"),
        ),
    ),
    Kind(
        (
            "The council of {a} chose {b}, {job}, as mayor on {day}.",
            "{b}, {job}, was chosen as mayor of {a} on {day}.",
        ),
        (
            "{c} of {d} had asked for a second vote.",
            "The mayor of {d} sent good wishes.",
            "{c} had been mayor for {m} years.",
        ),
        "{b} becomes mayor of {a}",
        (
            ("Who is the new mayor?", "{b}"),
            ("Which town has a new mayor?", "{a}"),
            ("What was the new mayor before?", "{job}"),
        ),
    ),
    Kind(
        (
            "The {work} of {a} will be closed for {n} weeks from {day} on.",
            "From {day} on the {work} of {a} will not be open for {n} weeks.",
        ),
        (
            "People from {b} will have to go to {d}.",
            "{c} of {b} pays for the repair.",
            "A {work} in {d} was repaired {m} years ago.",
        ),
        "{work} of {a} closed for {n} weeks",
        (
            ("What will be closed?", "the {work} of {a}"),
            ("For how many weeks will it be closed?", "{n}"),
        ),
    ),
)


@dataclass(frozen=True)
class Report:
    """A report with its headline, and a question with its answer."""

    text: str
    headline: str
    question: str
    answer: str


def generate(
    sizes: dict[str, int] | None = None, seed: int = 1
) -> tuple[dict[str, list[Report]], dict[str, set[str]]]:
    """Return reports and names of each split; no name is in two splits.

    Args:
        sizes: Number of reports of each split; None: `SIZES`.
        seed: Chooses names and sentences.
    """
    random = np.random.default_rng(seed)
    sizes = SIZES if sizes is None else sizes
    names = ["".join(parts) for parts in product(*map(_words, ("starts", "middles", "ends")))]
    random.shuffle(names)
    reports, mine = {}, {}
    for split, count in sizes.items():
        number = max(4, min(len(names) // 2, 2 * count))
        own, names = names[:number], names[number:]
        reports[split] = list(_reports(own, count, random))
        mine[split] = set(own)
    return reports, mine


def _reports(names: list[str], count: int, random: np.random.Generator) -> Iterator[Report]:
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        chosen = random.choice(len(names), 4, replace=False)
        words = {slot: names[place] for slot, place in zip("abcd", chosen, strict=True)}
        words |= {slot: str(random.integers(2, 90)) for slot in "nm"}
        words |= {slot: str(random.choice(_words(slot))) for slot in _SLOTS}
        others = random.permutation(len(kind.others))[: random.integers(1, 4)]
        sentences = [kind.others[other] for other in others]
        news = kind.news[random.integers(len(kind.news))]
        sentences.insert(int(random.integers(len(sentences) + 1)), news)
        question, answer = kind.questions[random.integers(len(kind.questions))]
        text = " ".join(_capital(sentence.format(**words)) for sentence in sentences)
        headline = _capital(kind.headline.format(**words))
        yield Report(text, headline, question, answer.format(**words))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def write(splits: dict[str, list[Report]], folder: Path) -> None:
    """Write the folders ``summaries`` and ``questions``, with two files for each split."""
    for split, reports in splits.items():
        texts = {
            f"summaries/{split}.report": [one.text for one in reports],
            f"summaries/{split}.headline": [one.headline for one in reports],
            f"questions/{split}.question": [f"{one.question} {one.text}" for one in reports],
            f"questions/{split}.answer": [one.answer for one in reports],
        }
        for name, lines in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(f"{line}\n" for line in lines)
            path.write_text(text, encoding="utf-8", newline="\n")
