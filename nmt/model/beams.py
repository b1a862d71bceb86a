"""The rows of hypotheses: the beams of a sentence are adjacent.

Legend: A sentences, N beams of each, M beams of each after a choice.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def parent_rows(parents: Tensor, beams: int) -> Tensor:
    """Return the rows [A · M], among A · N, of the beams ``parents`` [A, M] with N = ``beams``."""
    first = torch.arange(0, len(parents) * beams, beams, device=parents.device)
    return (first[:, None] + parents).flatten()


def sentence_rows(sentences: Tensor, beams: int) -> Tensor:
    """Return the rows [R · N] of all N = ``beams`` beams of the sentences [R]."""
    if beams == 1:
        return sentences
    return (sentences[:, None] * beams + torch.arange(beams, device=sentences.device)).flatten()


def rows_that_stay(stays: Sequence[bool]) -> list[int]:
    """Return the row [R] that moves to each of the first R rows, so that few sentences move.

    R is the number of sentences that stay. A sentence in the first R rows keeps its row. The others
    fill the gaps; see `moved_into_gaps`.
    """
    count = sum(stays)
    last = iter([row for row in range(count, len(stays)) if stays[row]])
    return [row if stays[row] else next(last) for row in range(count)]


def moved_into_gaps(tensors: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, ...]:
    """Copy the given rows [R] of each tensor into its first R rows, and return these rows.

    Args:
        tensors: [A, ...]. The same storage may occur several times.
        rows: The result of `rows_that_stay`: ``rows[i]`` is i, or at least R.
    """
    count = len(rows)
    gaps = (rows >= count).nonzero().squeeze(1)
    if len(gaps):
        moved = rows[gaps]
        for tensor in tensors:
            tensor.index_copy_(0, gaps, tensor.index_select(0, moved))
    return tuple(tensor[:count] for tensor in tensors)
