"""Linear layers compared with `torch.nn.Linear`, and the products that fused functions use."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.kernels.linear.linear_layer import linear, padded_rows, plain_linear, product
from nmt.model.layers import Linear

pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")

FLOAT, BFLOAT, DOUBLE = torch.float32, torch.bfloat16, torch.float64

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], torch.dtype], None]
Both = Callable[[Tensor, Sequence[Tensor]], list[Tensor]]
Autocast = Callable[[torch.dtype], torch.autocast]


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT, DOUBLE])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7), (0, 7)])
def test_linear_equals_that_of_torch(
    dtype: torch.dtype,
    bias: bool,
    shape: tuple[int, ...],
    agree: Agree,
    values_and_gradients: Both,
    autocast: Autocast,
) -> None:
    ours, plain = Linear(7, 9, bias=bias), nn.Linear(7, 9, bias=bias)
    plain.load_state_dict(ours.state_dict())
    inputs = torch.randn(shape, requires_grad=True)
    if dtype == DOUBLE:
        ours, plain = ours.double(), plain.double()
        inputs = inputs.detach().double().requires_grad_()
    with autocast(dtype):
        found = values_and_gradients(ours(inputs), [inputs, *ours.parameters()])
        expected = values_and_gradients(plain(inputs), [inputs, *plain.parameters()])
    assert found[0].dtype == dtype
    agree(found, expected, dtype)


def test_frozen_weights_get_no_gradient_and_pass_it_on() -> None:
    layer = Linear(7, 9).requires_grad_(False)
    inputs = torch.randn(3, 7, requires_grad=True)
    layer(inputs).sum().backward()
    assert layer.weight.grad is None
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, layer.weight.sum(0).expand(3, 7))


def test_weights_get_gradients_from_inputs_without() -> None:
    layer, inputs = Linear(7, 9), torch.randn(3, 7)
    layer(inputs).sum().backward()
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, inputs.sum(0).expand(9, 7))


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT])
def test_onednns_product_equals_torchs_for_any_strides(
    dtype: torch.dtype,
    agree: Agree,
) -> None:
    rows, weight, bias = (torch.randn(size).to(dtype) for size in ((6, 8), (8, 5), (5,)))
    expected = functional.linear(rows, weight.t(), bias)
    agree([product(rows, weight.t(), bias)], [expected], dtype)
    agree([product(rows, weight.t(), bias, relu=True)], [expected.relu()], dtype)
    with torch.backends.mkldnn.flags(enabled=False):  # type: ignore[no-untyped-call]
        agree([product(rows, weight.t(), bias, relu=True)], [expected.relu()], dtype)


def test_few_numbers_of_rows_reach_the_products() -> None:
    """oneDNN caches a kernel per row count: 8 up to 128, and 31 from there to 4,096."""
    padded_sizes = [len(padded_rows(torch.ones(count, 1), BFLOAT)) for count in range(1, 4097)]
    assert len(set(padded_sizes)) == 128 / 16 + (4096 - 128) / 128
    for count, size in enumerate(padded_sizes, start=1):
        assert 0 <= size - count < (128 if count > 128 else 16)


def test_padding_adds_zero_rows_and_copies_nothing_that_fits() -> None:
    rows = torch.randn(129, 3)
    whole = padded_rows(rows, BFLOAT)
    assert whole.shape == (256, 3)
    assert torch.equal(whole[:129], rows.bfloat16())
    assert not whole[129:].any()
    fitting = torch.randn(256, 3).bfloat16()
    assert padded_rows(fitting, BFLOAT) is fitting
    with torch.backends.mkldnn.flags(enabled=False):  # type: ignore[no-untyped-call]
        assert len(padded_rows(rows, BFLOAT)) == len(rows)


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT, DOUBLE])
@pytest.mark.parametrize("shape", [(7,), (130, 7), (0, 7)])
def test_linear_is_its_plain_formulation(
    dtype: torch.dtype,
    shape: tuple[int, ...],
    agree: Agree,
    values_and_gradients: Both,
    autocast: Autocast,
) -> None:
    single = DOUBLE if dtype == DOUBLE else FLOAT
    leaves = [torch.randn(size, dtype=single, requires_grad=True) for size in (shape, (9, 7), (9,))]
    with autocast(dtype):
        found = values_and_gradients(linear(*leaves), leaves)
        expected = values_and_gradients(plain_linear(*leaves), leaves)
    assert found[0].dtype == dtype
    agree(found, expected, dtype)
