"""The fused loss of a mixture equals the formula on all logits, in value and in gradient."""

import math
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.prediction import chunk_sizes
from nmt.kernels.prediction.cross_entropy import projected_cross_entropy
from nmt.kernels.prediction.mixture_cross_entropy import (
    plain_mixture_cross_entropy,
    projected_mixture_cross_entropy,
)

N, SIZE, VOCABULARY = 11, 6, 13
NEVER = float("-inf")


@pytest.fixture(params=["cpu", "accelerator"], autouse=True)
def _device(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test by the formulation of a CPU and by that of a GPU."""
    with dispatch.as_on_accelerator() if request.param == "accelerator" else nullcontext():
        yield


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Hidden vectors, weight, targets, and the logarithms of both terms; some rows have no copy."""
    gate = torch.randn(N, dtype=dtype)
    copied = functional.logsigmoid(-gate) + torch.rand(N, dtype=dtype).log()
    copied[::3] = NEVER
    leaves = torch.randn(N, SIZE, dtype=dtype), torch.randn(VOCABULARY, SIZE, dtype=dtype)
    share = functional.logsigmoid(gate)
    hidden, weight, share, copied = (one.requires_grad_() for one in (*leaves, share, copied))
    return hidden, weight, torch.randint(VOCABULARY, (N,)), share, copied


def gradients(loss: Tensor, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    leaves = [part for part in parts if part.requires_grad]
    return torch.autograd.grad(3.0 * loss, leaves)  # 3: the incoming gradient must be applied


@pytest.mark.parametrize("rows_per_chunk", [1, 4, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("ignores", [False, True])
def test_loss_and_gradients_are_those_of_the_formula(
    monkeypatch: pytest.MonkeyPatch, smoothing: float, rows_per_chunk: int, *, ignores: bool
) -> None:
    monkeypatch.setitem(chunk_sizes.LOGITS_PER_CHUNK, "cpu", rows_per_chunk * VOCABULARY)
    monkeypatch.setattr(chunk_sizes, "BYTES_PER_CHUNK", rows_per_chunk * VOCABULARY * 8)
    parts = inputs()
    if ignores:
        parts[2][[1, 3, 10]] = -100
    hidden, weight, targets, share, copied = parts
    log_probs = (hidden @ weight.T).log_softmax(1)
    expected, likelihood = hidden.new_zeros(()), 0.0
    for row, target in enumerate(targets.tolist()):
        if target >= 0:
            probability = share[row].exp() * log_probs[row, target].exp() + copied[row].exp()
            likelihood += math.log(probability.item())
            expected = expected - (1 - smoothing) * probability.log()
            expected = expected - smoothing * log_probs[row].mean()
    smoothed, exact = projected_mixture_cross_entropy(*parts, smoothing, ignores=ignores)
    torch.testing.assert_close(smoothed, expected)
    assert exact.item() == pytest.approx(-likelihood)
    assert not exact.requires_grad
    wanted = gradients(expected, parts)
    for found, one in zip(gradients(smoothed, parts), wanted, strict=True):
        torch.testing.assert_close(found, one.nan_to_num())  # exp(-inf) has a gradient of 0


def test_the_gradient_is_that_of_finite_differences() -> None:
    parts = inputs()
    real = [part.detach().clamp_min(-30.0) if part.is_floating_point() else part for part in parts]
    leaves = tuple(part.requires_grad_() if part.is_floating_point() else part for part in real)
    loss = lambda *tensors: projected_mixture_cross_entropy(*tensors, 0.1)[0]  # noqa: E731
    assert torch.autograd.gradcheck(loss, leaves)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_copies_it_is_the_cross_entropy_of_the_output_layer(smoothing: float) -> None:
    hidden, weight, targets, *_ = inputs(torch.float32)
    share, copied = torch.zeros(N), torch.full((N,), NEVER)
    found = projected_mixture_cross_entropy(hidden, weight, targets, share, copied, smoothing)
    expected = projected_cross_entropy(hidden, weight, targets, smoothing)
    torch.testing.assert_close(found, expected)
    leaves = hidden, weight
    torch.testing.assert_close(gradients(found[0], leaves), gradients(expected[0], leaves))


@pytest.mark.parametrize(("share", "lead"), [(-200.0, -300.0), (-1e-9, -300.0), (-200.0, 300.0)])
def test_extreme_probabilities_stay_finite(share: float, lead: float) -> None:
    hidden = torch.tensor([[lead]], requires_grad=True)  # logits (lead, 0, ..., 0)
    weight = torch.zeros(VOCABULARY, 1)
    weight[0] = 1
    shares, copied = torch.tensor([share]), torch.tensor([-150.0])
    target = torch.zeros(1, dtype=torch.long)
    smoothed, exact = projected_mixture_cross_entropy(hidden, weight, target, shares, copied, 0.0)
    generated = share + min(lead, 0) - math.log1p((VOCABULARY - 1) * math.exp(-abs(lead)))
    if lead < 0:
        generated = share + lead - math.log(VOCABULARY - 1 + math.exp(lead))
    torch.testing.assert_close(exact, -torch.logaddexp(torch.tensor([generated]), copied).sum())
    (found,) = torch.autograd.grad(smoothed, hidden)
    assert found.isfinite().all()


def test_bfloat16_is_close_and_returns_float32() -> None:
    parts = inputs(torch.float32)
    expected, _ = plain_mixture_cross_entropy(*parts, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, _ = projected_mixture_cross_entropy(*parts, 0.1)
    assert rough.dtype == torch.float32
    # Both factors of a product are rounded by up to 2^-9 and there are SIZE products per logit.
    torch.testing.assert_close(rough, expected, rtol=0.01, atol=0)
    for found, wanted in zip(gradients(rough, parts), gradients(expected, parts), strict=True):
        assert found.dtype == torch.float32
        assert (found - wanted).norm() < 0.03 * wanted.norm()


def test_without_a_gradient_probabilities_are_not_rounded() -> None:
    hidden, weight = 7.0 * torch.eye(4), torch.eye(4)
    share, copied = torch.full((4,), math.log(0.5)), torch.full((4,), math.log(0.25))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        _, exact = projected_mixture_cross_entropy(
            hidden, weight, torch.arange(4), share, copied, 0.1
        )
    probability = 0.5 / (1 + 3 * math.exp(-7.0)) + 0.25
    torch.testing.assert_close(exact, torch.tensor(-4 * math.log(probability)))


def test_a_batch_without_targets_has_no_loss_and_no_gradient() -> None:
    """As in a process that has fewer batches than the others."""
    hidden, weight, targets, share, copied = inputs()
    parts = hidden[:0], weight, targets[:0], share[:0], copied[:0]
    smoothed, exact = projected_mixture_cross_entropy(*parts, 0.1)
    assert smoothed.item() == exact.item() == 0
    assert not torch.autograd.grad(smoothed, weight)[0].any()


def test_it_chooses_the_plain_path_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = inputs()
    found = projected_mixture_cross_entropy(*parts, 0.1)
    monkeypatch.setattr(dispatch._Selection, "kernels", dispatch.Kernels.PLAIN)
    torch.testing.assert_close(found, projected_mixture_cross_entropy(*parts, 0.1))
