"""Dropout with one random byte per element: the right share, independent, with the same mean.

Correct code stays within 5 standard deviations except once in 1.7 million draws, and every run
has the same draws.
"""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from nmt.kernels.dropout import add_dropped, plain_add_dropped, plain_dropout
from nmt.model.layers import Dropout

COUNT = 200_000
SIGMAS = 5

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], torch.dtype], None]


def drop(probability: float, inputs: Tensor) -> Tensor:
    return Dropout(probability).train()(inputs)


@pytest.mark.parametrize("probability", [0.05, 0.1, 0.3, 0.5, 0.9])
def test_the_share_dropped_is_a_multiple_of_a_256th_and_the_mean_stays(probability: float) -> None:
    share = round(256 * probability) / 256
    outputs = drop(probability, torch.ones(COUNT))
    deviation = math.sqrt(share * (1 - share) / COUNT)  # of a binomial's share
    dropped = (outputs == 0).float().mean().item()
    assert abs(dropped - share) < SIGMAS * deviation, f"{dropped:.4f} dropped, not {share:.4f}"
    scale = 1 / (1 - share)
    torch.testing.assert_close(outputs.max(), torch.tensor(scale))
    assert abs(outputs.mean().item() - 1) < SIGMAS * deviation * scale, "the mean has changed"
    assert outputs.unique().numel() == 2, "an element is neither zero nor scaled"


def test_all_bytes_of_a_draw_are_equally_random() -> None:
    # At one half the highest bit of each byte decides; a generator of 63 bits leaves one at 0.
    dropped = (drop(0.5, torch.ones(COUNT)) == 0).double().view(-1, 8)
    deviation = 0.5 / math.sqrt(len(dropped))
    shares = dropped.mean(0)
    assert (shares - 0.5).abs().max() < SIGMAS * deviation, f"by byte of a word: {shares}"


@pytest.mark.parametrize("probability", [0.001, 0.01, 0.995, 0.9985])
def test_shares_that_a_byte_cannot_represent_take_two(probability: float) -> None:
    outputs = drop(probability, torch.ones(COUNT))
    share = round(65_536 * probability) / 65_536
    dropped = (outputs == 0).double().mean().item()
    assert abs(dropped - share) < SIGMAS * math.sqrt(share * (1 - share) / COUNT)
    torch.testing.assert_close(outputs.max(), torch.tensor(1 / (1 - share)))


@pytest.mark.parametrize("probability", [1 - 1e-9, 1.0])
def test_a_share_that_rounds_to_1_drops_every_element(probability: float) -> None:
    assert not drop(probability, torch.ones(COUNT)).any()


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_neighbours_are_dropped_independently(probability: float) -> None:
    dropped = (drop(probability, torch.ones(COUNT)) == 0).double().view(-1, 8)
    correlation = torch.corrcoef(dropped.T)  # between the bytes of one 64-bit draw
    correlation.fill_diagonal_(0)
    # The correlation of n independent pairs has a standard deviation of 1 / sqrt(n).
    bound = SIGMAS / math.sqrt(len(dropped))
    assert correlation.abs().max() < bound, f"bytes of a word are correlated:\n{correlation}"
    flat = dropped.flatten()
    for lag in (1, 8, 16):
        pair = torch.stack([flat[:-lag], flat[lag:]])
        assert abs(torch.corrcoef(pair)[0, 1]) < SIGMAS / math.sqrt(COUNT), f"at distance {lag}"


def test_evaluation_and_a_probability_of_zero_are_identities() -> None:
    inputs = torch.randn(3, 5)
    assert Dropout(0.5).eval()(inputs) is inputs
    state = torch.get_rng_state()
    assert drop(0.0, inputs) is inputs
    assert torch.equal(torch.get_rng_state(), state), "a random number was drawn without need"


def test_the_same_seed_drops_the_same() -> None:
    inputs = torch.randn(7, 11)
    torch.manual_seed(3)
    first, other = drop(0.4, inputs), drop(0.4, inputs)
    torch.manual_seed(3)
    assert torch.equal(drop(0.4, inputs), first), "a resumed run would differ"
    assert not torch.equal(other, first), "the same elements are dropped every time"


def test_only_kept_elements_have_a_gradient() -> None:
    inputs = torch.randn(40, 5, requires_grad=True)
    outputs = drop(0.5, inputs)
    outputs.sum().backward()
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, torch.where(outputs != 0, 2.0, 0.0))


@pytest.mark.parametrize("shape", [(), (1,), (3, 5, 7), (2, 0)])
def test_any_shape_and_layout_fits(shape: tuple[int, ...]) -> None:
    assert drop(0.5, torch.randn(shape)).shape == shape
    turned = torch.randn(6, 4).T
    outputs = drop(0.5, turned)
    torch.testing.assert_close(outputs, torch.where(outputs != 0, 2 * turned, 0.0))


def test_bfloat16_stays_bfloat16() -> None:
    assert drop(0.5, torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_compiled_code_drops_as_torch_does() -> None:
    compiled = torch.compile(Dropout(0.3).train(), backend="aot_eager", fullgraph=True)
    inputs = torch.ones(COUNT, requires_grad=True)
    outputs = compiled(inputs)
    outputs.sum().backward()
    dropped = (outputs == 0).float().mean().item()
    assert abs(dropped - 0.3) < SIGMAS * math.sqrt(0.3 * 0.7 / COUNT)
    torch.testing.assert_close(inputs.grad, outputs.detach())


@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_the_plain_formulation_has_the_same_share_and_gradient(probability: float) -> None:
    inputs = torch.ones(COUNT, requires_grad=True)
    outputs = plain_dropout(inputs, probability)
    outputs.sum().backward()
    torch.testing.assert_close(inputs.grad, outputs.detach())
    dropped = drop(probability, torch.ones(COUNT)) == 0
    difference = (outputs == 0).double().mean() - dropped.double().mean()
    rounding = abs(round(256 * probability) / 256 - probability)
    bound = SIGMAS * math.sqrt(2 * probability * (1 - probability) / COUNT)
    assert abs(difference) < bound + rounding


def test_a_cpu_tensor_draws_on_the_cpu_whatever_the_default_device_is() -> None:
    with torch.device("meta"):  # stands for a GPU
        outputs = drop(0.5, torch.ones(8, device="cpu"))
    assert set(outputs.tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.01])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_residual_connection_is_the_sum_with_the_dropped_result(
    probability: float,
    dtype: torch.dtype,
    agree: Agree,
    values_and_gradients: Callable[[Tensor, Sequence[Tensor]], list[Tensor]],
) -> None:
    leaves = [torch.randn(3, 5, 7, dtype=dtype, requires_grad=True) for _ in range(2)]
    torch.manual_seed(1)
    found = values_and_gradients(add_dropped(*leaves, probability), leaves)
    torch.manual_seed(1)
    expected = values_and_gradients(plain_add_dropped(*leaves, probability), leaves)
    agree(found, expected, dtype)
