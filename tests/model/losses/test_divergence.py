"""Divergences equal the papers' formulas over full distributions, in chunks or not."""

from functools import partial

import pytest
import torch
from torch import Tensor

from nmt.kernels.prediction import chunk_sizes
from nmt.kernels.prediction.prediction_pairs import Predictions
from nmt.model.losses.divergence import soft_cross_entropy, symmetric_divergence

N, V = 7, 11


def words(size: int) -> Predictions:
    return Predictions(
        torch.randn(N, size, requires_grad=True), torch.randn(V, size, requires_grad=True)
    )


def log_probs(said: Predictions, temperature: float = 1.0) -> Tensor:
    return (said.hidden @ said.weight.T / temperature).log_softmax(1)


@pytest.mark.parametrize("chunk", [4_000_000, 2 * V, 1])
def test_symmetric_divergence_is_the_mean_of_both_directions(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(chunk_sizes.LOGITS_PER_CHUNK, "cpu", chunk)
    one, other = words(5), words(5)
    found = symmetric_divergence(one, other)
    p, q = log_probs(one), log_probs(other)
    forth = (p.exp() * (p - q)).sum()
    back = (q.exp() * (q - p)).sum()
    torch.testing.assert_close(found, (forth + back) / 2)
    inputs = [one.hidden, one.weight, other.hidden, other.weight]
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs), torch.autograd.grad((forth + back) / 2, inputs)
    )


def test_float64_keeps_its_digits() -> None:
    one, other = (
        Predictions(torch.randn(N, 5).double(), torch.randn(V, 5).double()) for _ in range(2)
    )
    p, q = log_probs(one), log_probs(other)
    expected = ((p.exp() - q.exp()) * (p - q)).sum() / 2
    found = symmetric_divergence(one, other)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_rows_that_are_no_pieces_count_for_nothing() -> None:
    """As if they were absent, in the divergence, the cross-entropy and their gradients."""
    real = torch.arange(N) % 3 > 0
    one, other = words(5), words(5)
    kept = [Predictions(part.hidden[real], part.weight) for part in (one, other)]
    inputs = [one.hidden, one.weight]
    for function in (symmetric_divergence, partial(soft_cross_entropy, temperature=2.0)):
        found, expected = function(one, other, real=real), function(*kept)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(
            torch.autograd.grad(found, inputs),
            torch.autograd.grad(expected, inputs, retain_graph=True),
        )


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("chunk", [4_000_000, 3 * V])
def test_soft_cross_entropy_uses_the_softened_teacher_without_gradient(
    temperature: float, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(chunk_sizes.LOGITS_PER_CHUNK, "cpu", chunk)
    student, teacher = words(5), words(3)  # of different sizes
    found = soft_cross_entropy(student, teacher, temperature)
    q = log_probs(teacher, temperature).exp().detach()
    expected = -(temperature**2) * (q * log_probs(student, temperature)).sum()
    torch.testing.assert_close(found, expected)
    inputs = [student.hidden, student.weight]
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, retain_graph=True),
        torch.autograd.grad(expected, inputs),
    )
    assert torch.autograd.grad(found, teacher.hidden, allow_unused=True)[0] is None or not (
        torch.autograd.grad(soft_cross_entropy(student, teacher, temperature), teacher.hidden)[
            0
        ].any()
    )


def test_without_pieces_the_divergence_is_zero() -> None:
    none = Predictions(torch.zeros(0, 5), torch.randn(V, 5))
    assert symmetric_divergence(none, none).item() == 0
