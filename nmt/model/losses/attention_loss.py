"""Losses on the decoder's attention: guided alignment and coverage.

Legend: B batch, L layers with attention, H heads, T target length, S source length.
"""

import torch
from torch import Tensor

from nmt.kernels.precision import at_least_float32, exclusive_sums, tiny


def guided_alignment_loss(
    weights: Tensor, alignment: Tensor, *, layer: int | None, head: int, shift: bool
) -> Tensor:
    """Return the cross-entropy of the weights A of one head, given links G: -sum G log A.

    This is the alignment loss of Garg et al. 2019, but summed over target pieces, not averaged.
    Pieces without links add 0. A link whose weight is exactly 0, e.g. outside a window, also adds
    0, because no gradient could change this weight.

    Args:
        weights: A, [B, L, H, T, S].
        alignment: G, [B, T, S]; a row sums to 1 over the source, or to 0 if it has no links.
        layer: Index among L; negative indices count from the end. None: the second to last, or the
            only one.
        head: Index among H.
        shift: Whether to compare row t + 1, whose decoder input is piece t, with the links of
            piece t (Chen et al. 2020, SHIFT-ATT).

    Returns:
        The sum over the batch, in nats, in float32 at least.
    """
    if layer is None:
        layer = -2 if weights.size(1) > 1 else 0
    rows = at_least_float32(weights[:, layer, head])
    if shift:
        rows, alignment = rows[:, 1:], alignment[:, :-1]  # no row follows EOS
    log_weights = rows.clamp_min(tiny(rows)).log()
    return -(alignment * log_weights).masked_fill(rows == 0, 0.0).sum()


def coverage_loss(weights: Tensor, target_mask: Tensor) -> Tensor:
    """Return the sum over t, s of min(a_ts, sum over t' < t of a_t's), a penalty on repetition.

    See et al. 2017, eq. 12, with the coverage vector of eq. 10. The weights a are the means over
    the heads of a layer. The losses of several layers are averaged.

    Args:
        weights: [B, L, H, T, S].
        target_mask: [B, T] bool, True for real pieces, EOS included.

    Returns:
        The sum over the batch, in float32 at least.
    """
    attended = at_least_float32(weights).mean(dim=2)  # [B, L, T, S]
    coverage = exclusive_sums(attended)
    repeated = torch.minimum(attended, coverage).sum(dim=-1).mean(dim=1)  # [B, T]
    return (repeated * target_mask).sum()
