"""Scores of parts of a test set, divided by source length, by word frequency or by label."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nmt.evaluation.metrics import MetricName, Score, ScoreOptions, corpus_score

LENGTHS = (10, 20, 30, 40, 50)
"""The greatest number of source words of each part; a last part has the longer sentences."""
FREQUENCIES = (0, 4, 24, 99)
"""The greatest frequency of a sentence's rarest source word in each part; a last part has the rest.

Frequencies are counts in the training text.
"""


@dataclass(frozen=True)
class GroupScore:
    """The scores of one part of a test set.

    Attributes:
        name: Description of its sentences, e.g. ``11-20 words``.
        sentences: Number of sentences.
        scores: One per system.
        metric: The metric of the scores.
    """

    name: str
    sentences: int
    scores: list[Score]
    metric: MetricName = MetricName.BLEU


def by_label(labels: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of the sentences with each label, in the order of appearance."""
    found: dict[str, list[int]] = {}
    for position, label in enumerate(labels):
        found.setdefault(label, []).append(position)
    return found


def by_length(source: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of the sentences of each range of lengths (`LENGTHS`)."""
    return _ranges([len(sentence.split()) for sentence in source], LENGTHS, "{} words".format)


def by_rarest_word(source: Sequence[str], training_text: Iterable[str]) -> dict[str, list[int]]:
    """Return the positions of sentences by the frequency of their rarest word (`FREQUENCIES`).

    Args:
        source: The sentences.
        training_text: The source side of the training text, one sentence at a time.
    """
    frequencies = dict.fromkeys((word for sentence in source for word in sentence.split()), 0)
    for sentence in training_text:
        for word, count in Counter(sentence.split()).items():
            if word in frequencies:
                frequencies[word] += count
    rarest = [
        min((frequencies[word] for word in sentence.split()), default=0) for sentence in source
    ]
    return _ranges(rarest, FREQUENCIES, "rarest word seen {} times".format)


def score_groups(
    groups: dict[str, list[int]],
    systems: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    metric: MetricName = MetricName.BLEU,
    options: ScoreOptions = ScoreOptions(),  # noqa: B008
) -> list[GroupScore]:
    """Score each part of a test set by itself.

    Args:
        groups: The positions of the sentences of each part, by its name.
        systems: The translations of each system.
        references: One list per translator.
        metric: The metric.
        options: Its settings.
    """
    return [
        GroupScore(
            name,
            len(positions),
            [
                corpus_score(
                    metric,
                    [translations[i] for i in positions],
                    [[reference[i] for i in positions] for reference in references],
                    options,
                )
                for translations in systems
            ],
            metric,
        )
        for name, positions in groups.items()
    ]


def _ranges(
    values: Sequence[int], limits: Sequence[int], name: Callable[[str], str]
) -> dict[str, list[int]]:
    """Group positions by the first limit that a value does not exceed; leave out empty groups."""
    found: dict[str, list[int]] = {}
    lower = 0
    for upper in (*limits, sys.maxsize):
        positions = [i for i, value in enumerate(values) if lower <= value <= upper]
        if positions:
            found[name(_bounds(lower, upper))] = positions
        lower = upper + 1
    return found


def _bounds(lower: int, upper: int) -> str:
    if upper == sys.maxsize:
        return f"{lower} or more"
    if lower in (0, upper):
        return f"up to {upper}" if upper else "0"
    return f"{lower}-{upper}"
