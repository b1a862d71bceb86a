"""Matrices used in a loop: one product computes the gradient that autograd sums step by step."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.kernels.recurrent.loop_over_time import loop_over_time, repeated_product

BATCH, ROWS, LENGTH, SIZE, STEPS = 3, 2, 5, 4, 4


def plain(rows: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend from rows [B, T, X], step after step; each step starts from the last one's result."""
    for _ in range(STEPS):
        scores = repeated_product(rows, keys, transposed=True)
        rows = rows + repeated_product(scores.softmax(-1), values)
    return rows.square().sum()


def looped(rows: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    with loop_over_time():
        return plain(rows, keys, values)


def inputs() -> list[Tensor]:
    shapes = (BATCH, ROWS, SIZE), (BATCH, LENGTH, SIZE), (BATCH, LENGTH, SIZE)
    return [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("shared", [False, True])
def test_gradient_is_that_of_plain_products(shared: bool) -> None:
    rows, keys, values = inputs()
    values = keys if shared else values  # the score of Luong's dot product
    leaves = [rows, keys] if shared else [rows, keys, values]
    found = looped(rows, keys, values)
    expected = plain(rows, keys, values)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves)
    )


def test_frozen_matrices_get_no_gradient_and_pass_that_of_the_rows_on() -> None:
    rows, keys, values = inputs()
    keys, values = keys.detach(), values.detach()
    found = looped(rows, keys, values)
    expected = plain(rows, keys, values)
    torch.testing.assert_close(
        torch.autograd.grad(found, rows), torch.autograd.grad(expected, rows)
    )


class _Additions(TorchDispatchMode):
    """Counts the additions whose result has the shape of the matrices."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if "add" in str(func) and result.shape == (BATCH, LENGTH, SIZE):
            self.count += 1
        return result


@pytest.fixture
def additions() -> Iterator[_Additions]:
    with _Additions() as mode:
        yield mode


def test_no_step_adds_to_the_gradient_of_the_matrices(additions: _Additions) -> None:
    looped(*inputs()).backward()
    assert additions.count == 0
    plain(*inputs()).backward()
    assert additions.count >= STEPS - 1
