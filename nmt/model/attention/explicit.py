"""Scaled dot-product attention of short sentences on a CPU, as one operation with its gradient.

The fused kernels of torch are made for long sequences; their backward pass on a CPU takes several
times as long as these products do. Weights are normalised in float32 and kept for the gradient,
with a byte each for what was dropped. Gradients are laid out as the projections gave their results,
so that nothing is joined or turned afterwards.

Legend: B batch, T query length, S key length, H heads, K head size.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.attention.core import masked_softmax
from nmt.model.dropout import Dropout


def attend_explicitly(
    queries: Tensor, keys_values: Tensor, mask: Tensor | None, num_heads: int, dropout: Dropout
) -> Tensor:
    """Return softmax(Q K^T / sqrt(K)) V of all heads, joined, [B, T, H · K].

    Args:
        queries: [B, T, H · K].
        keys_values: [B, S, 2 · H · K], the keys first.
        mask: bool, broadcastable to [B, H, T, S], True = may attend; None: all may.
        num_heads: H.
        dropout: Of the weights.
    """
    with torch.autocast("cpu", enabled=False):
        joined: Tensor = _Attend.apply(  # type: ignore[no-untyped-call]
            queries, keys_values, mask, num_heads, dropout
        )
    return joined


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys_values: Tensor,
        mask: Tensor | None,
        num_heads: int,
        dropout: Dropout,
    ) -> Tensor:
        batch, kind = len(queries), queries.dtype
        heads = *_heads(queries, 1, num_heads), *_heads(keys_values, 2, num_heads)
        exact = torch.promote_types(kind, torch.float32)
        query, key, value = (_apart(part, exact) for part in heads)
        ctx.shrink, ctx.scale = query.size(-1) ** -0.5, dropout.scale
        scores = torch.bmm(query, key.transpose(1, 2)).mul_(ctx.shrink)
        weights = masked_softmax(scores.unflatten(0, (batch, num_heads)), mask).flatten(0, 1)
        seen = weights * ctx.scale
        kept = dropout.zero_(seen) if dropout.drops else None
        ctx.save_for_backward(query, key, value, weights, seen, kept)
        ctx.num_heads = num_heads
        joined = torch.empty_like(queries)
        _write(joined, [torch.bmm(seen, value)], num_heads)
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, weights, seen, kept = ctx.saved_tensors
        batch, units = len(gradient), gradient.size(-1)
        (arriving,) = _heads(gradient, 1, ctx.num_heads)
        arriving = _apart(arriving, weights.dtype)
        to_weights = torch.bmm(arriving, value.transpose(1, 2)).mul_(ctx.scale)
        if kept is not None:
            to_weights.mul_(kept)
        to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        to_scores = to_scores.mul_(ctx.shrink)
        queries = torch.empty_like(gradient)
        _write(queries, [torch.bmm(to_scores, key)], ctx.num_heads)
        keys_values = gradient.new_empty(batch, key.size(1), 2 * units)
        to_key = torch.bmm(to_scores.transpose(1, 2), query)
        to_value = torch.bmm(seen.transpose(1, 2), arriving)
        _write(keys_values, [to_key, to_value], ctx.num_heads)
        return queries, keys_values, None, None, None


def _heads(joined: Tensor, parts: int, num_heads: int) -> tuple[Tensor, ...]:
    """View [B, T, parts · H · K] as that many [B, H, T, K]."""
    return joined.unflatten(2, (parts, num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def _apart(heads: Tensor, kind: torch.dtype) -> Tensor:
    """Lay heads [B, H, T, K] out as [B · H, T, K]."""
    return heads.to(kind, memory_format=torch.contiguous_format).flatten(0, 1)


def _write(joined: Tensor, parts: Sequence[Tensor], num_heads: int) -> None:
    """Lay heads [B · H, T, K] out as [B, T, parts · H · K]."""
    for place, part in zip(_heads(joined, len(parts), num_heads), parts, strict=True):
        place.copy_(part.view(place.shape))
