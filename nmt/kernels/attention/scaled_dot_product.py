"""Scaled dot-product attention in three implementations: naive, torch and cpu.

``naive`` is the formula. ``torch`` is torch's fused kernel. ``cpu`` is one autograd operation for
short sentences on a CPU. It normalizes the weights in float32 and saves them for the backward pass,
with a dropout mask of one byte per weight. It writes gradients in the layout of the projections, so
the gradients need no concatenation or transposition.

Legend: B batch, T queries, S keys, H heads, G heads of keys and values, K head size (d_k in the
formulas).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch, private_torch
from nmt.kernels.attention.attention_mask import AttentionMask, Mask, PairMask, mask_tensor
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.dropout import DiscreteRate, discrete_rate, dropout
from nmt.kernels.precision import at_least_float32


def masked_softmax(scores: Tensor, mask: Mask | None) -> Tensor:
    """Return the softmax over S of scores [..., T, S], in float32 at least, 0 if masked.

    If a bool tensor masks all positions of a row, the weights of the row are 0, not NaN. An
    `AttentionMask` and its additive form `AttentionMask.bias` have no such row.
    """
    scores = at_least_float32(scores)
    if isinstance(mask, AttentionMask) and not dispatch.on_cpu(scores):
        return (scores + mask.bias(scores)).softmax(dim=-1)
    tensor = mask_tensor(mask)
    if tensor is None:
        return scores.softmax(dim=-1)
    if tensor.is_floating_point():
        return (scores + tensor).softmax(dim=-1)
    weights = scores.masked_fill(~tensor, float("-inf")).softmax(dim=-1)
    return weights.masked_fill(~tensor.any(dim=-1, keepdim=True), 0.0)


def grouped_product(heads: Tensor, others: Tensor) -> Tensor:
    """Return the product of heads [B, H, T, X] with [B, G, X, Y], as [B, H, T, Y].

    Head h of the first factor is multiplied by head floor(h · G / H) of the second (grouped-query
    attention).
    """
    num_heads, num_groups = heads.size(1), others.size(1)
    grouped = heads  # [B, G, H / G · T, X]: the rows of a group are adjacent
    if num_groups != num_heads:
        grouped = heads.unflatten(1, (num_groups, -1)).flatten(2, 3)
    return torch.matmul(grouped, others).view(*heads.shape[:3], others.size(-1))


def naive_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    bias: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Return softmax(Q K^T / sqrt(d_k) + bias) V by explicit products; see `attention`."""
    scores = grouped_product(query * query.size(-1) ** -0.5, keys.transpose(-1, -2))
    scores = scores if bias is None else scores + bias
    weights = dropout(masked_softmax(scores, mask), dropout_p)
    return join_heads(grouped_product(weights.type_as(values), values))


def torch_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: PairMask | None,
    bias: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute `attention` with torch's fused kernel."""
    causal = False
    if bias is not None:
        bias = bias.type_as(query)[None]  # torch's kernels require four axes
        mask = bias if mask is None else _biased(mask, bias)
    elif isinstance(mask, AttentionMask):
        causal = mask.is_causal and not dispatch.on_cpu(query)
        mask = _for_fused_kernel(mask, query)
    grouped = keys.size(1) < query.size(1)
    context = functional.scaled_dot_product_attention(
        query,
        keys,
        values,
        attn_mask=mask,
        dropout_p=dropout_p,
        is_causal=causal,
        enable_gqa=grouped,
    )
    return join_heads(context)


def _biased(mask: PairMask, bias: Tensor) -> Tensor:
    """Return an additive mask: the bias [1, H, T, S] if the mask allows attention, else -inf."""
    if isinstance(mask, Tensor) and mask.is_floating_point():
        return mask + bias
    may_attend = mask.allowed if isinstance(mask, AttentionMask) else mask
    return torch.where(may_attend, bias, float("-inf"))


def _for_fused_kernel(mask: AttentionMask, query: Tensor) -> Tensor | None:
    """Return the mask argument of torch's kernel; on a GPU, causal attention needs no mask."""
    if dispatch.on_cpu(query):
        return mask.allowed
    return None if mask.is_causal else mask.bias(query)


def cpu_attention(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, dropout_p: float = 0.0
) -> Tensor:
    """Compute `attention` for H = G, without a bias, in one autograd operation."""
    with torch.autocast("cpu", enabled=False):
        context: Tensor = _CpuAttention.apply(  # type: ignore[no-untyped-call]
            query, keys, values, mask, discrete_rate(dropout_p)
        )
    return context


def attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: PairMask | None,
    bias: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Return softmax(Q K^T / sqrt(d_k) + bias) V, heads joined, [B, T, H · K].

    Args:
        query: Q, [B, H, T, K].
        keys: K, [B, G, S, K]; G divides H.
        values: V, [B, G, S, K].
        mask: Broadcastable to [B, H, T, S], True = may attend; None: all may. In search, the mask
            may be additive; see `AttentionMask.bias`.
        bias: [H, T, S], or None.
        dropout_p: Probability of dropping a weight; 0 except in training.
    """
    match dispatch.attention_path(query, keys, values, bias):
        case KernelPath.FUSED:
            return cpu_attention(query, keys, values, mask_tensor(mask), dropout_p)
        case KernelPath.TORCH:
            return torch_attention(query, keys, values, mask, bias, dropout_p)
    return naive_attention(query, keys, values, mask_tensor(mask), bias, dropout_p)


def split_heads(joined: Tensor, num_heads: int) -> Tensor:
    """View [B, T, H · K] as [B, H, T, K]."""
    return joined.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def join_heads(heads: Tensor) -> Tensor:
    """Return heads [B, H, T, K] as [B, T, H · K]."""
    return heads.transpose(1, 2).flatten(2)


def split_keys_values(projected: Tensor, num_heads: int) -> tuple[Tensor, Tensor]:
    """View a fused key/value projection [B, S, 2 · G · K] as keys and values, each [B, G, S, K]."""
    if dispatch.linear_path(projected) is KernelPath.PLAIN:
        keys, values = projected.chunk(2, dim=-1)
        return split_heads(keys, num_heads), split_heads(values, num_heads)
    split: tuple[Tensor, Tensor] = _SplitKeysValues.apply(  # type: ignore[no-untyped-call]
        projected, num_heads
    )
    return split


class _SplitKeysValues(torch.autograd.Function):
    """Splits the projection into keys and values.

    The backward pass of `_CpuAttention` writes both gradients to one buffer in the layout of the
    projection. So this buffer is the gradient of the projection, without a copy.
    """

    @staticmethod
    def forward(ctx: Any, projected: Tensor, num_heads: int) -> tuple[Tensor, ...]:
        ctx.num_heads = num_heads
        return _heads(projected, 2, num_heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_keys: Tensor, grad_values: Tensor) -> tuple[Tensor, None]:
        batch, num_heads, length, size = grad_keys.shape
        width = num_heads * size
        strides = 2 * width * length, size, 2 * width, 1
        start = grad_keys.storage_offset()
        is_one_buffer = (
            grad_keys.untyped_storage().data_ptr() == grad_values.untyped_storage().data_ptr()
            and grad_keys.stride() == grad_values.stride() == strides
            and grad_values.storage_offset() == start + width
        )
        shape = batch, length, 2 * width
        if is_one_buffer:
            return grad_keys.as_strided(shape, (2 * width * length, 2 * width, 1), start), None
        grad_projected = grad_keys.new_empty(shape)
        _write(grad_projected, [grad_keys.flatten(0, 1), grad_values.flatten(0, 1)], num_heads)
        return grad_projected, None


class _CpuAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None,
        rate: DiscreteRate,
    ) -> Tensor:
        batch, num_heads, length, size = query.shape
        exact = torch.promote_types(query.dtype, torch.float32)
        q, k, v = (_separate(part, exact) for part in (query, keys, values))
        ctx.score_scale, ctx.dropout_scale = size**-0.5, rate.scale
        scores = torch.bmm(q, k.transpose(1, 2)).mul_(ctx.score_scale)
        weights = masked_softmax(scores.unflatten(0, (batch, num_heads)), mask).flatten(0, 1)
        dropped = weights * ctx.dropout_scale
        kept = rate.zero_(dropped)
        ctx.save_for_backward(q, k, v, weights, dropped, kept)
        ctx.num_heads = num_heads
        context = query.new_empty(batch, length, num_heads * size)
        _write(context, [torch.bmm(dropped, v)], num_heads)
        return context

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_context: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, dropped, kept = ctx.saved_tensors
        batch, length, width = grad_context.shape
        (grad_heads,) = _heads(grad_context, 1, ctx.num_heads)
        grad_heads = _separate(grad_heads, weights.dtype)
        grad_weights = torch.bmm(grad_heads, v.transpose(1, 2)).mul_(ctx.dropout_scale)
        if kept is not None:
            grad_weights.mul_(kept)
        assert private_torch.softmax_backward is not None
        grad_scores = private_torch.softmax_backward(grad_weights, weights, -1, weights.dtype)
        grad_scores = grad_scores.mul_(ctx.score_scale)
        grad_query = grad_context.new_empty(batch, length, width)
        _write(grad_query, [torch.bmm(grad_scores, k)], ctx.num_heads)
        grad_keys_values = grad_context.new_empty(batch, k.size(1), 2 * width)
        grad_k = torch.bmm(grad_scores.transpose(1, 2), q)
        grad_v = torch.bmm(dropped.transpose(1, 2), grad_heads)
        _write(grad_keys_values, [grad_k, grad_v], ctx.num_heads)
        return (
            *_heads(grad_query, 1, ctx.num_heads),
            *_heads(grad_keys_values, 2, ctx.num_heads),
            None,
            None,
        )


def _heads(joined: Tensor, parts: int, num_heads: int) -> tuple[Tensor, ...]:
    """View [B, T, parts · H · K] as ``parts`` tensors [B, H, T, K]."""
    return joined.unflatten(2, (parts, num_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def _separate(heads: Tensor, dtype: torch.dtype) -> Tensor:
    """Copy heads [B, H, T, K] to a contiguous tensor [B · H, T, K]."""
    return heads.to(dtype, memory_format=torch.contiguous_format).flatten(0, 1)


def _write(joined: Tensor, parts: Sequence[Tensor], num_heads: int) -> None:
    """Copy parts [B · H, T, K] into [B, T, parts · H · K]."""
    for target, part in zip(_heads(joined, len(parts), num_heads), parts, strict=True):
        target.copy_(part.view(target.shape))
