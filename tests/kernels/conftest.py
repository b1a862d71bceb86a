"""Comparisons shared by all kernels: results and gradients within a few roundings of a dtype."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor

from nmt.kernels import dispatch

FLOAT, BFLOAT, DOUBLE = torch.float32, torch.bfloat16, torch.float64


@pytest.fixture
def agree() -> Callable[[Sequence[Tensor], Sequence[Tensor], torch.dtype], None]:
    """Compare within a few roundings of the dtype; bfloat16 has 8 bits, and sums have 20 terms."""

    def compare(found: Sequence[Tensor], expected: Sequence[Tensor], dtype: torch.dtype) -> None:
        bound = {FLOAT: 1e-5, BFLOAT: 2**-5, DOUBLE: 1e-12}[dtype]
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == other.dtype
            scale = max(1.0, other.abs().max().item() if other.numel() else 0.0)
            torch.testing.assert_close(one, other, rtol=bound, atol=bound * scale)

    return compare


@pytest.fixture
def values_and_gradients() -> Callable[[Tensor, Sequence[Tensor]], list[Tensor]]:
    """Return a result and its gradients, with a different weight for each of its elements."""

    def both(result: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
        weights = torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view(result.shape)
        return [result.detach(), *torch.autograd.grad((result * weights).sum(), leaves)]

    return both


@pytest.fixture
def autocast() -> Callable[[torch.dtype], torch.autocast]:
    """Return a context in which products have a dtype, for inputs in float32 or in that dtype."""
    return lambda dtype: torch.autocast("cpu", dtype=BFLOAT, enabled=dtype == BFLOAT)


@pytest.fixture
def restored_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Allow a test to choose kernels, and restore the choice of the process afterwards."""
    before = dispatch._Selection.kernels
    yield
    monkeypatch.undo()
    dispatch._Selection.kernels = before
