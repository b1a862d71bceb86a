"""The positions of pairs in packed rows, without torch, so that the loader processes start fast.

A packed batch has one row per side, with its sentences one after another. The rest of the row, the
tail, is divided into dummy sentences, so that attention writes every position of the row. Attention
is only defined with queries and keys, so each sentence, also a dummy, has pieces on both sides.
Empty sentences after the dummies keep the number of offsets constant.

Legend: R sentences of a row, including dummies and empty ones, n pairs, L distinct lengths.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nmt.data.batches.length_batches import Lengths

MULTIPLE = 64
"""Lengths of rows and longest lengths are multiples of this, the height of a kernel's block."""

_ROOM = 1.0
"""Additional source positions, in standard deviations of the source pieces of a target row."""

_SENTENCE_ROOM = 3.0
"""Additional sentences, in standard deviations of the number of sentences of a row."""

_MOST_SENTENCES = 65_000
"""Maximum R: CUDA limits the second and third axis of a grid of blocks to 65,535."""


@dataclass(frozen=True)
class RowShape:
    """The shape of all packed batches of a run; lengths include EOS.

    Attributes:
        source: Positions of the source row.
        target: Positions of the target row.
        sentences: R.
        longest_source: Maximum length of a source sentence.
        longest_target: Maximum length of a target sentence.
    """

    source: int
    target: int
    sentences: int
    longest_source: int
    longest_target: int

    def dummies(self, source: int, target: int) -> int:
        """Return the smallest number of dummy sentences that fill a tail of these lengths."""
        return max(-(-source // self.longest_source), -(-target // self.longest_target))

    def can_fill(self, source: int, target: int, sentences: int) -> bool:
        """Return whether at most ``sentences`` dummies fill a tail, with pieces on both sides."""
        return self.dummies(source, target) <= min(source, target, sentences)

    def part(self, world: int) -> "RowShape":
        """Return the shape of the rows of one of ``world`` processes that share a row.

        The processes take the sentences in turn, in the order of the target lengths. Their target
        lengths therefore differ by at most one sentence.
        """
        if world == 1:
            return self
        source = -(-self.source // world) + self.longest_source
        target = -(-self.target // world) + self.longest_target
        bounds = self.longest_source, self.longest_target
        return _shape(source, target, -(-self.sentences // world), *bounds)


@dataclass(frozen=True)
class LengthCounts:
    """The number of pairs of each length in an epoch.

    Attributes:
        lengths: [L, 2], distinct source and target lengths, EOS included.
        counts: [L], number of pairs.
    """

    lengths: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]

    def row_shape(self, budget: int) -> RowShape:
        """Return the shape of rows with ``budget`` target pieces, or more for the longest pair."""
        source, target = self.lengths.astype(np.float64).T
        longest = [_rounded(int(side.max())) for side in (source, target)]
        sums = self.counts.sum(), self.counts @ source, self.counts @ target
        mean_source, mean_target = sums[1] / sums[0], sums[2] / sums[0]
        ratio, rows = mean_source / mean_target, budget / mean_target
        spread = self._deviation(source - ratio * target)  # of source lengths around the ratio
        source_length = ratio * budget + _ROOM * spread * math.sqrt(rows)
        deviation = self._deviation(target) / mean_target * math.sqrt(rows)
        sentences = math.ceil(rows + _SENTENCE_ROOM * deviation)
        return _shape(math.ceil(source_length), budget, sentences, *longest)

    def _deviation(self, values: npt.NDArray[np.float64]) -> float:
        mean = np.average(values, weights=self.counts)
        return math.sqrt(np.average((values - mean) ** 2, weights=self.counts))


def _shape(
    source: int, target: int, sentences: int, longest_source: int, longest_target: int
) -> RowShape:
    """Return a shape into which the longest pair fits, with a tail that dummies can fill."""
    source, target = _rounded(source), _rounded(target)
    while True:
        needed_source = _rounded(longest_source + -(-target // longest_target))
        needed_target = _rounded(longest_target + -(-source // longest_source))
        if source >= needed_source and target >= needed_target:
            break
        source, target = max(source, needed_source), max(target, needed_target)
    dummies = max(-(-source // longest_source), -(-target // longest_target))
    sentences = min(_rounded(max(1, sentences) + dummies), _MOST_SENTENCES)
    return RowShape(source, target, sentences, longest_source, longest_target)


def _rounded(length: int) -> int:
    return -(-max(1, length) // MULTIPLE) * MULTIPLE


def row_ends(sources: Lengths, targets: Lengths, shape: RowShape) -> list[int]:
    """Divide consecutive pairs into rows, each with as many pairs as fit.

    Args:
        sources: [n], source lengths, EOS included, at most ``shape.longest_source``.
        targets: [n], target lengths, EOS included, at most ``shape.longest_target``.
        shape: The shape of the rows.

    Returns:
        For each row, the index after its last pair.

    Raises:
        ValueError: A pair does not fit into a row.
    """
    sums = [np.concatenate([[0], np.cumsum(side, dtype=np.int64)]) for side in (sources, targets)]
    sizes, ends, start = (shape.source, shape.target), [], 0
    while start < len(sources):
        fitting = [
            int(np.searchsorted(total, total[start] + size, side="right")) - 1
            for total, size in zip(sums, sizes, strict=True)
        ]
        end = min(*fitting, start + shape.sentences)
        while not _leaves_a_tail(sums, start, end, shape):
            end -= 1
        if end <= start:
            raise ValueError(
                f"pair {start} of {sources[start]} and {targets[start]} pieces: {shape}"
            )
        ends.append(end)
        start = end
    return ends


def _leaves_a_tail(
    sums: list[npt.NDArray[np.int64]], start: int, end: int, shape: RowShape
) -> bool:
    source, target = (int(total[end] - total[start]) for total in sums)
    left = shape.source - source, shape.target - target
    return end <= start or shape.can_fill(*left, shape.sentences - (end - start))


@dataclass(frozen=True)
class RowLayout:
    """The positions of the sentences in a packed batch.

    Attributes:
        source_offsets: [R + 1] int32, where each source sentence begins, and the last one ends.
        target_offsets: [R + 1] int32, the same for the target.
        source_positions: [1, source] int64, the position of each piece in its sentence, from 0.
        target_positions: [1, target] int64, the same for the target.
        longest_source: Maximum length of a source sentence in the run.
        longest_target: Maximum length of a target sentence in the run.
        sentences: n; dummies and empty sentences follow the pairs.
    """

    source_offsets: npt.NDArray[np.int32]
    target_offsets: npt.NDArray[np.int32]
    source_positions: npt.NDArray[np.int64]
    target_positions: npt.NDArray[np.int64]
    longest_source: int
    longest_target: int
    sentences: int

    @classmethod
    def of(cls, sources: Lengths, targets: Lengths, shape: RowShape) -> "RowLayout":
        """Return the layout of pairs of these lengths [n], EOS included, and of dummies.

        Raises:
            ValueError: The pairs do not fit, or no dummy sentences can fill the tail.
        """
        source, target = shape.source - int(sources.sum()), shape.target - int(targets.sum())
        free = shape.sentences - len(sources)
        if min(source, target, free) < 0 or not shape.can_fill(source, target, free):
            raise ValueError(f"{len(sources)} pairs leave a tail of {source} and {target}: {shape}")
        count = shape.dummies(source, target)
        source_offsets, source_positions = _side(sources, source, count, shape.sentences)
        target_offsets, target_positions = _side(targets, target, count, shape.sentences)
        return cls(
            source_offsets,
            target_offsets,
            source_positions,
            target_positions,
            shape.longest_source,
            shape.longest_target,
            len(sources),
        )


def _side(
    lengths: Lengths, tail: int, dummies: int, sentences: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return the offsets and positions of a side; the dummies have about equal lengths."""
    all_lengths = np.zeros(sentences, dtype=np.int64)
    all_lengths[: len(lengths)] = lengths
    if dummies:
        cuts = np.arange(dummies + 1) * tail // dummies
        all_lengths[len(lengths) : len(lengths) + dummies] = np.diff(cuts)
    offsets = np.concatenate([[0], np.cumsum(all_lengths)])
    positions = np.arange(offsets[-1]) - np.repeat(offsets[:-1], all_lengths)
    return offsets.astype(np.int32), positions[None]
