"""Losses on where the decoder looks: guided alignment, and coverage.

Legend: B batch, L layers that attend, H heads, T target length, S source length.
"""

import torch
from torch import Tensor
from torch.nn import functional


def guided_alignment_loss(
    weights: Tensor, alignment: Tensor, *, layer: int | None, head: int, shift: bool
) -> Tensor:
    """Return the cross-entropy of one head's weights A under given links G: -sum G log A.

    This is the alignment loss of Garg et al. 2019, summed over target pieces where they take the
    mean; pieces without links add nothing. Neither do links where the weight is exactly 0, as
    outside a window: no gradient could bring it there.

    Args:
        weights: A, [B, L, H, T, S].
        alignment: G, [B, T, S], rows that sum to 1 over the source, or to 0 where nothing is known.
        layer: Which of L, negative from the last; None: the last but one, or the only one.
        head: Which of H.
        shift: Whether the links of piece t are taught to row t + 1, where the piece has become the
            decoder's input (Chen et al. 2020, SHIFT-ATT).

    Returns:
        The sum over the batch, in nats, in float32 at least.
    """
    if layer is None:
        layer = -2 if weights.size(1) > 1 else 0
    rows = _at_least_float32(weights[:, layer, head])
    if shift:
        rows, alignment = rows[:, 1:], alignment[:, :-1]  # the row left out is EOS
    log_weights = rows.clamp_min(torch.finfo(rows.dtype).tiny).log()
    return -(alignment * log_weights).masked_fill(rows == 0, 0.0).sum()


def coverage_loss(weights: Tensor, target_mask: Tensor) -> Tensor:
    """Return how much was looked at twice: sum over t, s of min(a_ts, sum over t' < t of a_t's).

    See et al. 2017, eq. 12, with the coverage vector of eq. 10. Of several heads the mean is taken
    first, of several layers the mean of their losses.

    Args:
        weights: [B, L, H, T, S].
        target_mask: [B, T] bool, True on real pieces, EOS among them.

    Returns:
        The sum over the batch, in float32 at least.
    """
    looks = _at_least_float32(weights).mean(dim=2)  # [B, L, T, S]
    coverage = functional.pad(looks[:, :, :-1], (0, 0, 1, 0)).cumsum(dim=2)
    again = torch.minimum(looks, coverage).sum(dim=-1).mean(dim=1)  # [B, T]
    return (again * target_mask).sum()


def _at_least_float32(weights: Tensor) -> Tensor:
    """Return weights in float32, or in float64 where they were: sums of halves lose digits."""
    return weights.to(torch.promote_types(weights.dtype, torch.float32))
