"""Attention of a step of search by columns, compared with its formula.

Legend: A sentences, N queries of each, S keys, H heads, G heads of keys, K head size.
"""

from operator import is_ as is_same

import pytest
import torch
from torch import Tensor

from nmt.kernels import dispatch
from nmt.kernels.attention import step_attention as kernel
from nmt.kernels.attention.scaled_dot_product import naive_attention
from nmt.kernels.attention.step_attention import (
    is_by_columns,
    lay_out,
    new_zeros,
    select_rows,
    step_attention,
)

A, N, H, K = 3, 4, 6, 8
NEVER = float("-inf")


@pytest.fixture(autouse=True)
def _no_head_is_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "FEWEST_HEADS", 1)


def heads(groups: int, length: int, dtype: torch.dtype) -> Tensor:
    """Return random heads [A, G, T, K] as a projection has them: those of a row side by side."""
    return torch.randn(A, length, groups * K).to(dtype).unflatten(2, (groups, K)).transpose(1, 2)


def random_mask(length: int) -> Tensor:
    """Return an additive mask [A, 1, N, S] that leaves each query its first key at least."""
    hidden = torch.rand(A, 1, N, length) < 0.4
    hidden[..., 0] = False
    return torch.zeros(hidden.shape).masked_fill(hidden, NEVER)


@pytest.mark.parametrize("length", [2, 9, 40])  # the softmax of few keys has a form of its own
@pytest.mark.parametrize("groups", [H, 2])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@torch.inference_mode()
def test_it_equals_the_formula(length: int, groups: int, *, masked: bool, biased: bool) -> None:
    torch.manual_seed(length)
    query, keys, values = (
        heads(count, rows, torch.float64)
        for count, rows in ((H, N), (groups, length), (groups, length))
    )
    mask = random_mask(length).double() if masked else None
    bias = torch.randn(H, 1, length).double() if biased else None
    expected = naive_attention(query, keys, values, mask, bias)
    found = step_attention(query, *lay_out(keys, values), mask, bias)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@torch.inference_mode()
def test_keys_in_bfloat16_are_stored_and_compared_in_float32() -> None:
    query, keys, values = (heads(H, rows, torch.bfloat16) for rows in (N, 20, 20))
    columns, rows = lay_out(keys, values)
    assert columns.dtype == rows.dtype == torch.float32
    assert torch.equal(columns, keys.float())
    assert torch.equal(rows, values.float())
    expected = naive_attention(query.double(), keys.double(), values.double(), None)
    with torch.autocast("cpu", torch.bfloat16):
        found = step_attention(query, columns, rows, None, None)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_the_layout_survives_what_a_memory_does() -> None:
    keys, values = lay_out(heads(H, 20, torch.float32), heads(H, 20, torch.float32))
    assert is_by_columns(keys)
    assert not is_by_columns(values)
    rows = torch.tensor([2, 0])
    for stored in (keys, values):
        selected = select_rows(stored, rows)
        assert torch.equal(selected, stored[rows])
        assert is_by_columns(selected) == is_by_columns(stored)
        room = new_zeros(stored, (A, H, 16, 5, K))  # slots and places
        assert room.shape == (A, H, 16, 5, K)
        assert not room.any()
        assert is_by_columns(room) == is_by_columns(stored)
        assert is_by_columns(room.flatten(2, 3)) == is_by_columns(stored)


def test_elsewhere_keys_stay_as_they_are() -> None:
    keys, values = heads(H, 20, torch.bfloat16), heads(H, 20, torch.bfloat16)
    assert all(map(is_same, lay_out(keys, values), (keys, values)))  # gradients are recorded
    with torch.inference_mode(), dispatch.as_on_accelerator():
        assert all(map(is_same, lay_out(keys, values), (keys, values)))
    dispatch.set_kernels("plain")
    try:
        with torch.inference_mode():
            assert all(map(is_same, lay_out(keys, values), (keys, values)))
    finally:
        dispatch.set_kernels("auto")
