"""Scaled dot-product attention of a step of search, on a CPU.

A step has few queries per sentence. torch's fused kernel, which is fast for many queries, first
rearranges the keys of each head. Here each head stores its keys by columns, [K, S], so batched
products need no rearrangement. The keys are float32 for every dtype of the linear layers. A
narrower dtype would not make such small products faster, and the scores would need a cast for the
softmax.

The formula is `nmt.kernels.attention.scaled_dot_product.naive_attention`.

Legend: A sentences, N queries of each, S keys, H heads, G heads of keys and values, K head size, P
slots and W places of target pieces, as in `nmt.model.self_attention.target_memory`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.kernels import dispatch
from nmt.kernels.attention.scaled_dot_product import join_heads
from nmt.kernels.precision import at_least_float32, without_autocast

FEWEST_HEADS = 32
"""The least number of sentences times heads G for which float32 keys are stored by columns. With
fewer, one fused operation is faster than several operations."""

VECTOR = 16
"""float32 values of a vector register. torch's softmax uses none for shorter rows."""


def lay_out(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return keys and values [A, G, S, K] in the layout of `step_attention`, if it is faster."""
    exact = at_least_float32(keys)
    few = keys.size(0) * keys.size(1) < FEWEST_HEADS and exact is keys
    if few or not dispatch.works_in_place(keys):
        return keys, values
    columns = exact.transpose(-1, -2).contiguous()
    return columns.transpose(-1, -2), at_least_float32(values).contiguous()


def is_by_columns(keys: Tensor) -> bool:
    """Return whether keys [A, G, ..., K] are stored as [A, G, K, ...]; see `lay_out`."""
    return keys.is_cpu and keys.size(-1) > 1 and keys.stride(-1) != 1


def new_zeros(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Return zeros [A, G, ..., K] with the dtype and the layout of ``like``."""
    if not is_by_columns(like):
        return like.new_zeros(tuple(shape))
    sentences, groups, *places, size = shape
    return like.new_zeros(sentences, groups, size, *places).movedim(2, -1)


def select_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Return the rows [R] of values [A, G, ..., K], in the layout of ``values``."""
    if not is_by_columns(values):
        return values.index_select(0, rows)
    return values.movedim(-1, 2).index_select(0, rows).movedim(2, -1)


def step_attention(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, bias: Tensor | None
) -> Tensor:
    """Return softmax(Q K^T / sqrt(d_k) + mask + bias) V, heads joined, [A, N, H · K].

    Args:
        query: Q, [A, H, N, K].
        keys: K, [A, G, S, K], stored by columns; G divides H.
        values: V, [A, G, S, K], in the dtype of the keys.
        mask: Additive, [A, 1, N or 1, S]; None: all may attend. Each query may attend to at least
            one key.
        bias: [H, N or 1, S], or None.
    """
    sentences, heads, queries, size = query.shape
    groups, length = keys.shape[1:3]
    batch = sentences * groups
    rows = query.to(keys.dtype).reshape(batch, -1, size)  # the rows of a group are adjacent
    scores = rows.new_empty(sentences, heads, queries, length)
    if mask is not None:
        scores.copy_(mask)
        scores = scores if bias is None else scores.add_(bias)
    elif bias is not None:
        scores.copy_(bias)
    known = mask is not None or bias is not None
    with without_autocast(query):
        scores = scores.view(batch, -1, length)
        columns = keys.transpose(-1, -2).reshape(batch, size, length)
        scores.baddbmm_(rows, columns, beta=int(known), alpha=size**-0.5)
        context = torch.bmm(_softmax_(scores), values.reshape(batch, length, size))
    return join_heads(context.view(query.shape))


def _softmax_(scores: Tensor) -> Tensor:
    """Return the softmax over S of scores [..., S]; may overwrite the scores."""
    if scores.size(-1) >= VECTOR:
        return scores.softmax(dim=-1)
    weights = scores.sub_(scores.amax(dim=-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(dim=-1, keepdim=True))
