"""Attention as one operation with its own backward pass, compared with its formula.

Legend: B batch, T queries, S keys, H heads, K head size, D = H · K.
"""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from nmt.kernels import dispatch
from nmt.kernels.attention.scaled_dot_product import (
    attention,
    naive_attention,
    split_heads,
    split_keys_values,
    torch_attention,
)
from nmt.kernels.dispatch import KernelPath
from nmt.model.layers import Dropout

B, T, S, H, K = 3, 5, 4, 2, 6
D = H * K
FLOAT, BFLOAT, DOUBLE = torch.float32, torch.bfloat16, torch.float64

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], torch.dtype], None]
Both = Callable[[Tensor, Sequence[Tensor]], list[Tensor]]
Autocast = Callable[[torch.dtype], torch.autocast]

MASKS = {
    "none": None,
    "padding": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]).bool()[:, None, None, :],
    "nothing": torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]]).bool()[:, None, None, :],
    "causal": torch.ones(T, S, dtype=torch.bool).tril(),
}


def attend(
    queries: Tensor, keys_values: Tensor, mask: Tensor | None, num_heads: int, probability: float
) -> Tensor:
    """Split projections [B, T, D] and [B, S, 2 · D] into heads and attend by the fast path."""
    heads = split_heads(queries, num_heads)
    keys, values = split_keys_values(keys_values, num_heads)
    assert dispatch.attention_path(heads, keys, values, None) is KernelPath.FUSED
    return attention(heads, keys, values, mask, None, probability)


def composed_attention(
    queries: Tensor, keys_values: Tensor, mask: Tensor | None, dropout: Dropout
) -> Tensor:
    keys, values = keys_values.chunk(2, dim=-1)
    query, key, value = (
        part.unflatten(2, (H, K)).transpose(1, 2) for part in (queries, keys, values)
    )
    scores = (query @ key.transpose(-1, -2)).to(FLOAT if queries.dtype == BFLOAT else queries.dtype)
    scores = scores / K**0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(-1).nan_to_num(0)
    context = dropout(weights.to(queries.dtype)) @ value
    return context.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT, DOUBLE])
@pytest.mark.parametrize("probability", [0.0, 0.3])
@pytest.mark.parametrize("mask", MASKS)
def test_attention_equals_its_formula_and_gradient(
    dtype: torch.dtype, probability: float, mask: str, agree: Agree, values_and_gradients: Both
) -> None:
    dropout = Dropout(probability).train()
    queries = torch.randn(B, T, D).to(dtype).requires_grad_()
    keys_values = torch.randn(B, S, 2 * D).to(dtype).requires_grad_()
    leaves = [queries, keys_values]
    torch.manual_seed(5)
    joined = attend(queries, keys_values, MASKS[mask], H, probability)
    found = values_and_gradients(joined, leaves)
    torch.manual_seed(5)
    expected = composed_attention(queries, keys_values, MASKS[mask], dropout)
    agree(found, values_and_gradients(expected, leaves), dtype)
    assert torch.isfinite(torch.cat([part.flatten().float() for part in found])).all()


def test_attention_dropout_zeroes_weights_and_scales_the_rest() -> None:
    """If the values are unit vectors, the contexts are the weights."""
    probability, size = 0.5, S
    queries, keys = torch.zeros(B, T, size), torch.zeros(B, size, size)
    values = torch.eye(size).expand(B, size, size)
    keys_values = torch.cat([keys, values], dim=2).requires_grad_()
    weights = attend(queries, keys_values, None, 1, probability)
    assert set(weights.unique().tolist()) == {0.0, 2 / size}


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT, DOUBLE])
@pytest.mark.parametrize("mask", MASKS)
def test_all_implementations_agree(
    dtype: torch.dtype, mask: str, agree: Agree, values_and_gradients: Both
) -> None:
    queries = torch.randn(B, T, D).to(dtype).requires_grad_()
    keys_values = torch.randn(B, S, 2 * D).to(dtype).requires_grad_()
    leaves = [queries, keys_values]
    found = attend(queries, keys_values, MASKS[mask], H, 0.0)
    heads, (keys, values) = split_heads(queries, H), split_keys_values(keys_values, H)
    expected = values_and_gradients(naive_attention(heads, keys, values, MASKS[mask]), leaves)
    agree(values_and_gradients(found, leaves), expected, dtype)
    with torch.no_grad():
        assert dispatch.attention_path(heads, keys, values, None) is KernelPath.TORCH
        agree([torch_attention(heads, keys, values, MASKS[mask])], expected[:1], dtype)


@pytest.mark.parametrize("change", ["none", "keys", "values"])
def test_the_gradient_of_split_keys_and_values_is_that_of_the_projection(change: str) -> None:
    """Compare gradients in one shared buffer, as attention writes them, and in separate ones."""
    projected = torch.randn(B, S, 2 * D, dtype=DOUBLE, requires_grad=True)
    query = split_heads(torch.randn(B, T, D, dtype=DOUBLE), H)

    def loss(keys: Tensor, values: Tensor) -> Tensor:
        keys = keys.sin() if change == "keys" else keys
        values = values.sin() if change == "values" else values
        return attention(query, keys, values, None).square().sum()

    found = torch.autograd.grad(loss(*split_keys_values(projected, H)), projected)
    plain = (split_heads(part, H) for part in projected.chunk(2, dim=-1))
    torch.testing.assert_close(found, torch.autograd.grad(loss(*plain), projected))


def test_changed_heads_take_the_plain_path() -> None:
    projected = torch.randn(B, S, 2 * D, requires_grad=True)
    keys, values = split_keys_values(projected, H)
    query = split_heads(torch.randn(B, S, D), H)
    assert dispatch.attention_path(query, keys, values, None) is KernelPath.FUSED
    assert dispatch.attention_path(query.contiguous(), keys, values, None) is KernelPath.PLAIN
    assert dispatch.attention_path(query, keys, values, torch.zeros(H, S, S)) is KernelPath.PLAIN
    one_group = keys[:, :1], values[:, :1]
    assert dispatch.attention_path(query, *one_group, None) is KernelPath.PLAIN
