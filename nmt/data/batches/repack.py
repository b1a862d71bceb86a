"""Extracts the pairs of a packed batch, and makes other batches of them."""

import numpy as np
import numpy.typing as npt

from nmt.data.batches.batch import Batch
from nmt.data.batches.packed_batches import pack_pairs
from nmt.data.batches.packed_rows import RowShape, row_ends
from nmt.data.batches.padding import RaggedRows, pad_pairs


def packed_pairs(batch: Batch) -> tuple[RaggedRows, RaggedRows]:
    """Return the sources and targets of a packed batch on the CPU, without BOS and EOS."""
    assert batch.packing is not None
    sources, targets = (side.long().numpy() - 1 for side in batch.packing.lengths())
    return (
        RaggedRows(_pieces(batch.source_ids.numpy(), sources), sources),
        RaggedRows(_pieces(batch.target_output_ids.numpy(), targets), targets),
    )


def _pieces(row: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the pieces of a row [1, N] without EOS and tail; ``lengths`` are without EOS."""
    ends = np.cumsum(lengths + 1)
    is_piece = np.ones(int(ends[-1]), dtype=np.bool_)
    is_piece[ends - 1] = False
    return row[0, : len(is_piece)][is_piece]


def unpacked(batch: Batch) -> Batch:
    """Return a padded batch of the pairs of a packed one on the CPU."""
    return Batch.of_arrays(pad_pairs(*packed_pairs(batch)))


def split_packed(batch: Batch, limit: int) -> list[Batch] | None:
    """Split a packed batch on the CPU into packed batches of one smaller shape.

    Args:
        batch: The batch.
        limit: Maximum number of positions of a row, both sides together.

    Returns:
        The smaller batches; None if the longest pair needs more than ``limit`` positions.
    """
    shape = _shape(batch)
    smaller = next((p for p in _parts(shape) if p.source + p.target <= limit), None)
    if smaller is None:
        return None
    sources, targets = packed_pairs(batch)
    ends = row_ends(sources.lengths + 1, targets.lengths + 1, smaller)
    rows = zip([0, *ends], ends, strict=False)
    return [
        Batch.of_arrays(pack_pairs(_rows(sources, *row), _rows(targets, *row), smaller))
        for row in rows
    ]


def _parts(shape: RowShape) -> list[RowShape]:
    """Return smaller and smaller shapes into which the longest pair fits."""
    parts = [shape.part(2)]
    while parts[-1].source + parts[-1].target < shape.source + shape.target:
        shape = parts[-1]
        parts.append(shape.part(2))
    return parts[:-1]


def _shape(batch: Batch) -> RowShape:
    packing = batch.packing
    assert packing is not None
    return RowShape(
        batch.source_ids.size(1),
        batch.target_input_ids.size(1),
        len(packing.source_offsets) - 1,
        packing.longest_source,
        packing.longest_target,
    )


def _rows(rows: RaggedRows, start: int, end: int) -> RaggedRows:
    offsets = np.concatenate([[0], np.cumsum(rows.lengths)])
    return RaggedRows(rows.values[offsets[start] : offsets[end]], rows.lengths[start:end])
