"""Batches of few shapes, with pairs of similar length; empty rows fill up the others.

Legend: n pairs, B rows, S source length, T target length.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nmt.data.batches.batching import EpochCost, UpdateBatches
from nmt.data.batches.bucket_shapes import Shapes, choose_shapes
from nmt.data.batches.length_batches import Indices
from nmt.data.batches.padding import PaddedPairs, RaggedRows, pad_pairs


class BucketedBatches(UpdateBatches):
    """An endless stream of updates in batches of few shapes.

    The shapes are chosen by the lengths of an epoch and the budget. They are the same in all epochs
    and processes. The pairs of a shape fill its batches in a shuffled order. The rest moves to a
    larger shape, or forms a batch with empty rows; see `Shapes.plan`. Each of several processes
    takes every ``world``-th row of each batch.
    """

    _shapes: Shapes | None = None

    def __getstate__(self) -> dict[str, object]:
        """Omit the length keys from the pickle, but not the shapes, which are small."""
        self.shapes()
        return super().__getstate__()

    def shapes(self) -> Shapes:
        """Return the shapes of whole batches, before they are divided among processes."""
        if self._shapes is None:
            self._shapes = choose_shapes(*self._epoch_lengths(), self._budget)
        return self._shapes

    def _epoch_lengths(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the distinct lengths of an epoch, [L, 2], and the mean number of pairs, [L]."""
        keys, begin, found, counts = self._length_keys(), 0, [], []
        for size, count in zip(self._sizes, self._counts, strict=True):
            if count:
                distinct, occurrences = keys.count(np.arange(begin, begin + size))
                found.append(distinct)
                counts.append(occurrences * (count / size))
            begin += size
        distinct, index = np.unique(np.concatenate(found), return_inverse=True)
        totals = np.bincount(index, weights=np.concatenate(counts)).astype(np.float64)
        return np.stack(keys.lengths(distinct), axis=1), totals

    def cost(self) -> EpochCost:
        """Compute the cost of the current epoch from the lengths and their order alone."""
        shapes, keys = self.shapes(), self._length_keys()
        used, order_bytes, real = [], 0, np.zeros(2, dtype=np.int64)
        for number, members in enumerate(self._members(self.state.epoch)):
            for batch in self._batches(members, self.state.epoch, number):
                sides = np.stack(keys.lengths(keys.keys[batch].astype(np.int64)), axis=1)
                index = shapes.holding(len(batch), *sides.max(axis=0).tolist())
                assert index is not None
                used.append(index)
                real += sides.sum(axis=0)
            order_bytes = max(order_bytes, members.nbytes)
        slots = shapes.rows[used][:, None] * shapes.widths[used]
        largest = used[int(slots[:, 1].argmax())]
        return EpochCost(
            updates=-(-len(used) // self._accumulation),
            padding_share=1 - float(real.sum() / slots.sum()),
            target_padding_share=1 - float(real[1] / slots[:, 1].sum()),
            largest_batch=(int(shapes.rows[largest]), int(shapes.widths[largest].max())),
            order_bytes=order_bytes,
        )

    def _epoch(self, epoch: int, skip: int) -> Iterator[Indices]:
        """Yield the batches of an epoch without the first ``skip``, which are only counted."""
        for number, members in enumerate(self._members(epoch)):
            if skip:
                found = self._shapes_of(members)
                batches = self.shapes().batches(np.bincount(found, minlength=len(self.shapes())))
                if batches <= skip:
                    skip -= batches
                    continue
            made = self._batches(members, epoch, number)
            random = np.random.default_rng((self.seed, epoch, 1 + number, 1))
            for index in random.permutation(len(made))[skip:]:
                yield made[index]
            skip = 0

    def _shapes_of(self, pairs: Indices) -> npt.NDArray[np.int64]:
        """Return the index of the smallest shape into which each pair fits, [n]."""
        keys = self._length_keys()
        found, index = np.unique(keys.keys[pairs], return_inverse=True)
        lengths = np.stack(keys.lengths(found.astype(np.int64)), axis=1)
        return self.shapes().of_lengths(lengths)[index]

    def _batches(self, members: Indices, epoch: int, number: int) -> list[Indices]:
        """Divide a group of pairs into batches, small shapes first."""
        shapes = self.shapes()
        order = np.random.default_rng((self.seed, epoch, 1 + number)).permutation(members)
        found = self._shapes_of(order)
        counts = np.bincount(found, minlength=len(shapes))
        by_shape = np.split(order[np.argsort(found, kind="stable")], np.cumsum(counts)[:-1])
        made: list[Indices] = []
        for index, (full, rest) in enumerate(shapes.plan(counts)):
            pairs, rows = by_shape[index], int(shapes.rows[index])
            end = full * rows + rest
            made.extend(pairs[start : start + rows] for start in range(0, end, rows))
            if end < len(pairs):  # placed first, so that others move on before them
                parent = shapes.parents[index]
                by_shape[parent] = np.concatenate([pairs[end:], by_shape[parent]])
        return made

    def pad(
        self,
        sources: RaggedRows,
        targets: RaggedRows,
        links: Sequence[npt.NDArray[np.int32]] | None = None,
    ) -> PaddedPairs:
        """Pad pairs to the smallest shape into which they fit.

        With subword sampling, they may fit into no shape; their batch then keeps its own size.
        """
        shapes = self.shapes().part(self._share.step)
        longest = int(sources.lengths.max()) + 1, int(targets.lengths.max()) + 1
        index = shapes.holding(len(sources.lengths), *longest)
        padded = pad_pairs(sources, targets, links)
        if index is None:
            return padded
        return padded.filled(int(shapes.rows[index]), *shapes.widths[index].tolist())
