"""Token-budget batches of like length, shuffled by (seed, epoch), with a state to resume from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nmt.data.encoded import EncodedCorpus

Indices = npt.NDArray[np.int64]

_SOURCE_ALLOWANCE = 2  # a batch may hold this many times its target budget of source pieces


def batches_by_length(
    source_lengths: npt.NDArray[np.int64],
    target_lengths: npt.NDArray[np.int64],
    order: Indices,
    budget: int,
) -> list[Indices]:
    """Cut a corpus into batches of like length.

    Pairs are sorted by the length of their longer side; among equals by source minus target, to and
    fro, so that the end of one length is like the beginning of the next. Both sides are then alike
    in a batch. ``order`` decides the rest, so that a shuffled order gives new company every epoch.
    EOS is counted, pads too.

    Args:
        source_lengths: Pieces of each pair's source, without EOS.
        target_lengths: Pieces of each pair's target, without EOS.
        order: A permutation of the pairs.
        budget: Target pieces a batch may hold, pads and EOS included; a longer pair stands alone.

    Returns:
        Arrays of pair indices, short pairs first.
    """
    sources, targets = source_lengths[order] + 1, target_lengths[order] + 1
    longer = np.maximum(sources, targets)
    _, rank = np.unique(longer, return_inverse=True)
    difference = np.where(rank % 2 == 0, sources - targets, targets - sources)
    by_length = np.lexsort((difference, longer))
    order, sources, targets = order[by_length], sources[by_length], targets[by_length]
    batches, start = [], 0
    while start < len(order):
        rows = _rows_that_fit(targets[start : start + budget], budget)
        rows = _rows_that_fit(sources[start : start + rows], _SOURCE_ALLOWANCE * budget)
        batches.append(order[start : start + rows])
        start += rows
    return batches


def _rows_that_fit(widths: npt.NDArray[np.int64], budget: int) -> int:
    """Count how many first rows fit when all are padded to the widest among them."""
    padded = np.maximum.accumulate(widths) * np.arange(1, len(widths) + 1)
    return max(1, int(np.searchsorted(padded, budget, side="right")))


@dataclass(frozen=True)
class BatchingState:
    """Where a run stands in its data: the next update's position within an epoch."""

    epoch: int = 0
    position: int = 0


class UpdateBatches:
    """An endless stream of updates, each a list of batches to accumulate.

    The order of an epoch is a function of (seed, epoch) alone, so the state is two numbers.
    """

    def __init__(
        self, corpus: EncodedCorpus, batch_tokens: int, accumulation: int, seed: int
    ) -> None:
        """Stream updates of ``batch_tokens`` target pieces in ``accumulation`` parts."""
        self._source_lengths = np.asarray(corpus.source.lengths)
        self._target_lengths = np.asarray(corpus.target.lengths)
        self._budget = batch_tokens // accumulation
        self._accumulation = accumulation
        self._seed = seed
        self.state = BatchingState()

    def __iter__(self) -> Iterator[list[Indices]]:
        """Yield updates from `state` on; `state` then points behind the one yielded."""
        while True:
            epoch = self.state.epoch
            updates = self._epoch(epoch)
            for position in range(self.state.position, len(updates)):
                last = position + 1 == len(updates)
                self.state = BatchingState(epoch + last, 0 if last else position + 1)
                yield updates[position]

    def updates_per_epoch(self) -> int:
        """Return the number of updates in the current epoch."""
        return len(self._epoch(self.state.epoch))

    def _epoch(self, epoch: int) -> list[list[Indices]]:
        random = np.random.default_rng((self._seed, epoch))
        order = random.permutation(len(self._source_lengths))
        batches = batches_by_length(self._source_lengths, self._target_lengths, order, self._budget)
        shuffled = [batches[i] for i in random.permutation(len(batches))]
        step = self._accumulation
        return [shuffled[i : i + step] for i in range(0, len(shuffled), step)]
