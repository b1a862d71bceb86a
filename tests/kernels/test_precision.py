"""Sums, products and norms that keep their precision."""

import pytest
import torch

from nmt.kernels.precision import exclusive_sums
from nmt.kernels.tensor_lists import add_all_, copy_all_, multiply_all_, zero_all_
from nmt.model.layers import RmsNorm


@pytest.mark.parametrize("deterministic", [False, True])
def test_exclusive_sums_leave_out_their_own_position(
    deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: deterministic)
    values = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    sums = exclusive_sums(values)
    for position in range(5):
        torch.testing.assert_close(sums[:, :, position], values[:, :, :position].sum(dim=2))


def test_operations_on_no_tensors_do_nothing() -> None:
    multiply_all_([], torch.tensor(2.0))
    zero_all_([])
    copy_all_([], [])
    add_all_([], [])
    tensors = [torch.ones(2), torch.ones(3)]
    multiply_all_(tensors, torch.tensor(2.0))
    assert [t.sum().item() for t in tensors] == [4, 6]


def test_an_rms_norm_returns_the_dtype_of_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA's autocast computes the norm in float32 from torch 2.12 on; a search keeps one dtype."""
    norm = torch.nn.functional.rms_norm
    monkeypatch.setattr(torch.nn.functional, "rms_norm", lambda x, *rest: norm(x, *rest).float())
    assert RmsNorm(4)(torch.randn(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
