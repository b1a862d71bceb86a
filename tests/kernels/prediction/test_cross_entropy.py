"""The fused loss equals torch's cross-entropy of the full logits, in value and in gradient."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.prediction import chunk_sizes
from nmt.kernels.prediction.cross_entropy import plain_cross_entropy, projected_cross_entropy

N, SIZE, VOCABULARY = 11, 6, 13
FLOAT, BFLOAT = torch.float32, torch.bfloat16

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], torch.dtype], None]
Autocast = Callable[[torch.dtype], torch.autocast]


@pytest.fixture(params=["cpu", "accelerator"], autouse=True)
def _device(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test by the formulation of a CPU and by that of a GPU."""
    with dispatch.as_on_accelerator() if request.param == "accelerator" else nullcontext():
        yield


def set_rows_per_chunk(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setitem(chunk_sizes.LOGITS_PER_CHUNK, "cpu", rows * VOCABULARY)
    monkeypatch.setattr(chunk_sizes, "BYTES_PER_CHUNK", rows * VOCABULARY * 8)  # float32, twice


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.randn(N, SIZE, requires_grad=True),
        torch.randn(VOCABULARY, SIZE, requires_grad=True),
        torch.randint(VOCABULARY, (N,)),
    )


def gradients(loss: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(3.0 * loss, leaves)  # 3: the incoming gradient must be applied


@pytest.mark.parametrize("rows_per_chunk", [1, 4, 11, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_value_and_gradients_equal_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, smoothing: float, rows_per_chunk: int
) -> None:
    set_rows_per_chunk(monkeypatch, rows_per_chunk)
    hidden, weight, targets = inputs()
    smoothed, exact = projected_cross_entropy(hidden, weight, targets, smoothing)
    logits = hidden @ weight.T
    expected = functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(smoothed, expected)
    torch.testing.assert_close(exact, functional.cross_entropy(logits, targets, reduction="sum"))
    assert not exact.requires_grad, "the exact likelihood must have no gradient"
    found_gradients = gradients(smoothed, hidden, weight)
    for name, found, wanted in zip(
        ("hidden", "weight"), found_gradients, gradients(expected, hidden, weight), strict=True
    ):
        torch.testing.assert_close(found, wanted, msg=lambda t, name=name: f"{name}: {t}")


@pytest.mark.parametrize("rows_in_cache", [1, 3, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_few_rows_at_a_time_give_the_same_loss_in_float64(
    monkeypatch: pytest.MonkeyPatch, agree: Agree, smoothing: float, rows_in_cache: int
) -> None:
    monkeypatch.setattr(chunk_sizes, "BYTES_IN_CACHE", rows_in_cache * VOCABULARY * 8)
    hidden, weight, targets = inputs()
    hidden, weight = (part.detach().double().requires_grad_() for part in (hidden, weight))
    found = projected_cross_entropy(hidden, weight, targets, smoothing)
    expected = plain_cross_entropy(hidden, weight, targets, smoothing)
    agree(found, expected, torch.float64)
    agree(
        gradients(found[0], hidden, weight),
        gradients(expected[0], hidden, weight),
        torch.float64,
    )


@pytest.mark.parametrize("lead", [-300.0, 0.0, 5.0, 30.0, 300.0])
def test_extreme_probabilities_keep_their_likelihood_and_gradient(lead: float) -> None:
    hidden = torch.tensor([[lead]], requires_grad=True)  # logits (lead, 0, ..., 0)
    weight = torch.zeros(VOCABULARY, 1)
    weight[0] = 1
    targets = torch.zeros(1, dtype=torch.long)
    _, exact = projected_cross_entropy(hidden, weight, targets, 0.0)
    likelihood = math.log1p((VOCABULARY - 1) * math.exp(-lead))
    torch.testing.assert_close(exact, torch.tensor(likelihood))
    smoothed, _ = projected_cross_entropy(hidden, weight, targets, 0.0)
    (found,) = torch.autograd.grad(smoothed, hidden)
    torch.testing.assert_close(found, torch.tensor([[math.expm1(-likelihood)]]))


def test_a_chunk_smaller_than_the_vocabulary_makes_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(chunk_sizes.LOGITS_PER_CHUNK, "cpu", 1)
    monkeypatch.setattr(chunk_sizes, "BYTES_PER_CHUNK", 1)
    hidden, weight, targets = inputs()
    smoothed, _ = projected_cross_entropy(hidden, weight, targets, 0.1)
    expected = functional.cross_entropy(
        hidden @ weight.T, targets, label_smoothing=0.1, reduction="sum"
    )
    torch.testing.assert_close(smoothed, expected)


def test_value_needs_no_gradient() -> None:
    hidden, weight, targets = inputs()
    smoothed, exact = projected_cross_entropy(hidden, weight, targets, 0.0)
    with torch.inference_mode():
        found = projected_cross_entropy(hidden, weight, targets, 0.0)
    torch.testing.assert_close(found[0], smoothed.detach())
    torch.testing.assert_close(found[1], exact)


def test_bfloat16_is_close_and_returns_a_float32_loss() -> None:
    hidden, weight, targets = inputs()
    smoothed, _ = projected_cross_entropy(hidden, weight, targets, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, _ = projected_cross_entropy(hidden, weight, targets, 0.1)
    assert rough.dtype == torch.float32, "sums of many pieces need more than 8 bits"
    # Both factors of a product are rounded by up to 2^-9 and there are SIZE products per logit.
    torch.testing.assert_close(rough, smoothed, rtol=0.01, atol=0)
    exact_gradients = gradients(smoothed, hidden, weight)
    for found, wanted in zip(gradients(rough, hidden, weight), exact_gradients, strict=True):
        assert found.dtype == torch.float32
        assert (found - wanted).norm() < 0.02 * wanted.norm()


def test_without_a_gradient_probabilities_near_1_are_not_rounded_to_1() -> None:
    weight = torch.eye(4).bfloat16().float()
    hidden = 7.0 * torch.eye(4)  # each target's probability is 1 / (1 + 3 exp(-7)) = 0.997
    weight.requires_grad_()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        _, exact = projected_cross_entropy(hidden, weight, torch.arange(4), 0.1)
    torch.testing.assert_close(exact, torch.tensor(4 * math.log1p(3 * math.exp(-7.0))))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("logit", [7.0, 9.0, 12.0, 14.0])  # of 64: p = 0.95, 0.99, 0.9996, 0.9999
def test_in_bfloat16_a_probability_near_1_keeps_its_loss_and_gradient(
    logit: float, smoothing: float
) -> None:
    count = 64
    hidden = (logit * torch.eye(count)).requires_grad_()
    identity, targets = torch.eye(count), torch.arange(count)  # logits are the hidden vectors
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, exact = projected_cross_entropy(hidden, identity, targets, smoothing)
    (found,) = torch.autograd.grad(loss, hidden)
    others = (count - 1) / (count - 1 + math.exp(logit))  # 1 - p
    wanted = smoothing - smoothing / count - others
    # The other probabilities are rounded, then their sum, then a difference computed from it:
    # each has a relative error of up to 2^-9.
    bound = 2**-9 * (2 * others + 2 * smoothing + abs(wanted))
    assert (found.diagonal() - wanted).abs().max() <= bound
    told = -count * math.log1p(-others)
    assert exact.item() == pytest.approx(told, rel=2**-7)


def test_dividing_by_the_number_of_pieces_is_not_rounded_to_bfloat16() -> None:
    hidden, weight, targets = inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = projected_cross_entropy(hidden, weight, targets, 0.1)
    whole = torch.autograd.grad(loss, (hidden, weight), retain_graph=True)
    part = torch.autograd.grad(loss / 4104, (hidden, weight))  # a bfloat16 is 1/4096 or 1/4112
    for one, other in zip(whole, part, strict=True):
        torch.testing.assert_close(one, 4104 * other)


def test_a_second_derivative_is_refused() -> None:
    hidden, weight, targets = inputs()
    loss, _ = projected_cross_entropy(hidden, weight, targets, 0.1)
    (gradient,) = torch.autograd.grad(loss.square(), hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT])
@pytest.mark.parametrize("rows", [1, 16, 130])
def test_padded_rows_do_not_change_the_loss(
    dtype: torch.dtype, rows: int, agree: Agree, autocast: Autocast
) -> None:
    """Padded rows have hidden vectors of zeros, whose uniform softmax would add log V each."""
    hidden, weight = torch.randn(rows, 6, requires_grad=True), torch.randn(9, 6, requires_grad=True)
    targets = torch.randint(9, (rows,))
    with autocast(dtype):
        smoothed, exact = projected_cross_entropy(hidden, weight, targets, 0.1)
    logits = hidden @ weight.T
    expected = functional.cross_entropy(logits, targets, label_smoothing=0.1, reduction="sum")
    plain = functional.cross_entropy(logits, targets, reduction="sum")
    bound = {FLOAT: 1e-5, BFLOAT: 2**-5}[dtype]
    torch.testing.assert_close(smoothed, expected, rtol=bound, atol=0)
    torch.testing.assert_close(exact, plain.detach(), rtol=bound, atol=0)
    leaves = [hidden, weight]
    agree(torch.autograd.grad(smoothed, leaves), torch.autograd.grad(expected, leaves), dtype)


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_its_plain_formulation(
    dtype: torch.dtype, smoothing: float, agree: Agree, autocast: Autocast
) -> None:
    hidden, weight, targets = inputs()
    leaves = [hidden, weight]
    with autocast(dtype):
        found = projected_cross_entropy(*leaves, targets, smoothing)
        expected = plain_cross_entropy(*leaves, targets, smoothing)
    agree([part.detach() for part in found], [part.detach() for part in expected], dtype)
    assert not expected[1].requires_grad
    agree(torch.autograd.grad(found[0], leaves), torch.autograd.grad(expected[0], leaves), dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows_per_chunk", [4, 100])
def test_ignored_targets_count_for_nothing(
    monkeypatch: pytest.MonkeyPatch, smoothing: float, rows_per_chunk: int
) -> None:
    set_rows_per_chunk(monkeypatch, rows_per_chunk)
    hidden, weight, targets = inputs()
    real = torch.arange(N) % 3 != 0
    marked = targets.masked_fill(~real, -100)
    found = projected_cross_entropy(hidden, weight, marked, smoothing, ignores=True)
    expected = projected_cross_entropy(hidden[real], weight, targets[real], smoothing)
    torch.testing.assert_close(found, expected)
    grad_hidden, grad_weight = gradients(found[0], hidden, weight)
    wanted_hidden, wanted_weight = gradients(expected[0], hidden, weight)
    torch.testing.assert_close(grad_hidden, wanted_hidden)
    torch.testing.assert_close(grad_weight, wanted_weight)
    assert not grad_hidden[~real].any(), "an ignored row has no gradient"
