"""Padded arrays of sentence pairs, without torch, so that the loader processes start fast.

Legend: B batch, S source length, T target length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.data.batches.length_batches import Indices
from nmt.data.batches.packed_rows import RowLayout
from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.data.features import RegionArrays
from nmt.data.piece_links import PieceLinks, dense_links
from nmt.text.special_tokens import BOS, EOS, PAD

Ids = npt.NDArray[np.integer] | Sequence[int]
Padded = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RaggedRows:
    """Rows of different lengths in one flat array.

    Attributes:
        values: [sum of lengths], the rows one after another.
        lengths: [B], the length of each row.
    """

    values: npt.NDArray[np.integer]
    lengths: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Ids]) -> "RaggedRows":
        """Join rows of ids; a row may be empty."""
        lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
        none = np.zeros(0, dtype=np.int32)
        return cls(np.concatenate([none, *(np.asarray(row, np.int32) for row in rows)]), lengths)

    @classmethod
    def of_corpus(cls, side: PieceSequences, indices: Indices) -> "RaggedRows":
        """Gather the sequences with these indices, [B]."""
        positions, lengths = _positions(side.offsets, indices)
        return cls(side.ids[positions], lengths)

    def padded(self, *, first: int | None = None, last: int | None = None) -> Padded:
        """Stack the rows into [B, width]: ``first``, the row, ``last``, then PAD."""
        offset, extra = int(first is not None), int(last is not None)
        width = int(self.lengths.max()) + offset + extra
        padded = np.full((len(self.lengths), width), PAD, dtype=np.int64)
        ends = offset + self.lengths[:, None]
        columns = np.arange(width)
        padded[(columns >= offset) & (columns < ends)] = self.values
        if first is not None:
            padded[:, 0] = first
        if last is not None:
            padded[columns == ends] = last
        return padded


def _positions(
    offsets: npt.NDArray[np.int64], indices: Indices
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the positions of the values of the selected rows, and the lengths of these rows."""
    starts = np.asarray(offsets[indices])
    lengths = np.asarray(offsets[indices + np.asarray(1, indices.dtype)]) - starts
    shifts = starts - (np.cumsum(lengths) - lengths)
    return np.repeat(shifts, lengths) + np.arange(int(lengths.sum())), lengths


@dataclass(frozen=True)
class PaddedPairs:
    """The arrays of a `Batch`, see there; ``layout`` is None unless the batch is packed."""

    source_ids: Padded
    source_mask: npt.NDArray[np.bool_]
    target_input_ids: Padded
    target_output_ids: Padded
    num_tokens: int
    alignment: npt.NDArray[np.float32] | None
    layout: RowLayout | None = None
    fixed_shape: bool = False
    regions: RegionArrays | None = None

    def filled(self, rows: int, source: int, target: int) -> "PaddedPairs":
        """Pad to a fixed shape: sources [rows, source], targets [rows, target].

        An added row has EOS as its source, because attention needs at least one key. It has no
        target, so it adds nothing to a loss or a gradient.
        """
        count = len(self.source_ids)
        filled = replace(
            self,
            source_ids=_grown(self.source_ids, (rows, source), PAD),
            source_mask=_grown(self.source_mask, (rows, source), False),
            target_input_ids=_grown(self.target_input_ids, (rows, target), PAD),
            target_output_ids=_grown(self.target_output_ids, (rows, target), PAD),
            alignment=self.alignment
            if self.alignment is None
            else _grown(self.alignment, (rows, target, source), 0),
            fixed_shape=True,
        )
        filled.source_ids[count:, 0], filled.source_mask[count:, 0] = EOS, True
        filled.target_input_ids[count:, 0] = BOS
        return filled


def _grown(array: npt.NDArray[Any], shape: tuple[int, ...], value: object) -> npt.NDArray[Any]:
    """Return an array of a larger shape; ``value`` fills the new entries."""
    grown = np.full(shape, value, dtype=array.dtype)
    grown[tuple(slice(size) for size in array.shape)] = array
    return grown


def pad_pairs(
    sources: RaggedRows,
    targets: RaggedRows,
    links: Sequence[npt.NDArray[np.int32]] | None = None,
) -> PaddedPairs:
    """Pad pairs for teacher forcing.

    Args:
        sources: Piece ids of each source, without EOS.
        targets: Piece ids of each target, without BOS or EOS.
        links: For each pair an array [links, 2] of the indices of a source and a target piece.
    """
    source_ids, output_ids = sources.padded(last=EOS), targets.padded(last=EOS)
    shape = output_ids.shape[1], source_ids.shape[1]
    return PaddedPairs(
        source_ids,
        source_mask=np.arange(source_ids.shape[1]) <= sources.lengths[:, None],
        target_input_ids=targets.padded(first=BOS),
        target_output_ids=output_ids,
        num_tokens=int(targets.lengths.sum()) + len(targets.lengths),
        alignment=None if links is None else dense_links(links, *shape),
    )


def pad_corpus_pairs(
    corpus: EncodedCorpus, indices: Indices, pad: Callable[..., PaddedPairs] = pad_pairs
) -> PaddedPairs:
    """Pad the pairs of a corpus with these indices [B] by ``pad``; B is at least 1."""
    padded = pad(
        RaggedRows.of_corpus(corpus.source, indices),
        RaggedRows.of_corpus(corpus.target, indices),
        None if corpus.links is None else _links(corpus.links, indices),
    )
    return with_regions(padded, corpus, indices)


def with_regions(padded: PaddedPairs, corpus: EncodedCorpus, indices: Indices) -> PaddedPairs:
    """Return padded pairs with the features of these indices, if the corpus has any.

    Batches of a fixed shape have the largest R of the corpus.
    """
    features = corpus.features
    if features is None:
        return padded
    width = features.most_regions if padded.fixed_shape else None
    return replace(padded, regions=features.batch(indices, len(padded.source_ids), width))


def _links(links: PieceLinks, indices: Indices) -> list[npt.NDArray[np.int32]]:
    positions, lengths = _positions(links.offsets, indices)
    return np.split(np.asarray(links.links[positions]), np.cumsum(lengths)[:-1])
