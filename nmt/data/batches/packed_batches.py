"""Packed batches: one row per side contains all pairs; all batches of a run have the same shape.

Legend: n pairs, N positions of a row.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nmt.data.batches.batching import EpochCost, UpdateBatches
from nmt.data.batches.length_batches import Indices
from nmt.data.batches.packed_rows import LengthCounts, RowLayout, RowShape, row_ends
from nmt.data.batches.padding import PaddedPairs, RaggedRows
from nmt.text.special_tokens import BOS, EOS, PAD


class PackedBatches(UpdateBatches):
    """An endless stream of updates in packed batches.

    The pairs of an epoch, in a shuffled order, fill one row after another. A target row has
    ``batch_tokens / accumulation`` positions, or more if the longest pair needs them. The length of
    a source row follows from the ratio of source to target pieces. Both are multiples of 64, so a
    target row may have 63 positions more.

    The rows do not depend on the number of processes. Several processes take the pairs of each row
    in turn, in the order of their lengths, and pack them into smaller rows. Rarely, the sources of
    a share do not fit into one smaller row; the share then becomes two rows.
    """

    _shapes: tuple[RowShape, RowShape] | None = None

    def __getstate__(self) -> dict[str, object]:
        """Omit the length keys from the pickle, but not the shapes, which are small."""
        self.row_shape()
        return super().__getstate__()

    def row_shape(self) -> RowShape:
        """Return the shape of the batches of this process."""
        return self._both_shapes()[1]

    def _both_shapes(self) -> tuple[RowShape, RowShape]:
        """Return the shape of whole rows, and that of the rows of this process."""
        if self._shapes is None:
            shape = self._length_counts().row_shape(self._budget)
            self._shapes = shape, shape.part(self._share.step)
        return self._shapes

    def _length_counts(self) -> LengthCounts:
        """Return the mean number of pairs of each length in an epoch, the same for all epochs."""
        keys, begin, found, counts = self._length_keys(), 0, [], []
        for size, count in zip(self._sizes, self._counts, strict=True):
            if count:
                distinct, occurrences = keys.count(slice(begin, begin + size))
                found.append(distinct)
                counts.append(occurrences * (count / size))
            begin += size
        sides = keys.lengths(np.concatenate(found))
        return LengthCounts(np.stack(sides, axis=1), np.concatenate(counts))

    def cost(self) -> EpochCost:
        """Compute the cost of the current epoch from the lengths and their order alone."""
        shape, rows, order_bytes, real = self._both_shapes()[0], 0, 0, np.zeros(2, dtype=np.int64)
        for number, members in enumerate(self._members(self.state.epoch)):
            order = self._order(members, self.state.epoch, number)
            sources, targets = self._lengths_of(order)
            ends = row_ends(sources, targets, shape)
            rows += len(ends)
            real += sources.sum(), targets.sum()
            order_bytes = max(order_bytes, members.nbytes)
        slots = rows * np.array([shape.source, shape.target])
        return EpochCost(
            updates=-(-rows // self._accumulation),
            padding_share=1 - float(real.sum() / slots.sum()),
            target_padding_share=1 - float(real[1] / slots[1]),
            largest_batch=(1, max(shape.source, shape.target)),
            order_bytes=order_bytes,
            packed=True,
        )

    def _epoch(self, epoch: int, skip: int) -> Iterator[Indices]:
        """Yield the pairs of each row after the first ``skip`` rows, the longest target first."""
        shape = self._both_shapes()[0]
        for number, members in enumerate(self._members(epoch)):
            order = self._order(members, epoch, number)
            sources, targets = self._lengths_of(order)
            ends = row_ends(sources, targets, shape)
            for begin, end in list(zip([0, *ends], ends, strict=False))[skip:]:
                row = slice(begin, end)
                longest_first = np.lexsort((-sources[row], -targets[row]))
                yield order[row][longest_first]
            skip = max(0, skip - len(ends))

    def _order(self, members: Indices, epoch: int, number: int) -> Indices:
        return np.random.default_rng((self.seed, epoch, 1 + number)).permutation(members)

    def _lengths_of(self, pairs: Indices) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the source and target lengths of pairs [n], EOS included, each [n]."""
        keys = self._length_keys()
        return keys.lengths(keys.keys[pairs].astype(np.int64))

    def _own(self, batch: Indices) -> list[Indices]:
        """Return this process's share of a row as one smaller row, rarely as two."""
        share = super()._own(batch)[0]
        sources, targets = self._lengths_of(share)
        ends = row_ends(sources, targets, self.row_shape())
        return [share[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    def pad(
        self,
        sources: RaggedRows,
        targets: RaggedRows,
        links: Sequence[npt.NDArray[np.int32]] | None = None,
    ) -> PaddedPairs:
        """Pack pairs into one row per side, without links."""
        return pack_pairs(sources, targets, self.row_shape())


def pack_pairs(sources: RaggedRows, targets: RaggedRows, shape: RowShape) -> PaddedPairs:
    """Pack pairs for teacher forcing into one row per side.

    Args:
        sources: Piece ids of each source, without EOS.
        targets: Piece ids of each target, without BOS or EOS.
        shape: The shape of the rows.

    Raises:
        ValueError: The pairs do not fit into the rows.
    """
    layout = RowLayout.of(sources.lengths + 1, targets.lengths + 1, shape)
    pieces = len(sources.values) + len(sources.lengths)
    return PaddedPairs(
        _row(sources, shape.source, bos=False, tail=EOS),
        source_mask=np.arange(shape.source)[None] < pieces,
        target_input_ids=_row(targets, shape.target, bos=True, tail=BOS),
        target_output_ids=_row(targets, shape.target, bos=False, tail=PAD),
        num_tokens=len(targets.values) + len(targets.lengths),
        alignment=None,
        layout=layout,
    )


def _row(sentences: RaggedRows, length: int, *, bos: bool, tail: int) -> npt.NDArray[np.int64]:
    """Return a row [1, N] of sentences, each after BOS or before EOS; ``tail`` fills its end."""
    row = np.full(length, tail, dtype=np.int64)
    ends = np.cumsum(sentences.lengths + 1)
    special = ends - 1 - sentences.lengths if bos else ends - 1
    is_piece = np.ones(int(ends[-1]) if len(ends) else 0, dtype=np.bool_)
    is_piece[special] = False
    joined = row[: len(is_piece)]
    joined[is_piece] = sentences.values
    joined[special] = BOS if bos else EOS
    return row[None]
