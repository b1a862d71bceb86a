"""Linear layers in int8: bounds of the error, equality of the paths, independence of other rows."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.errors import UserError
from nmt.kernels import dispatch, private_torch
from nmt.kernels.linear import quantized_linear
from nmt.kernels.linear.quantized_linear import (
    QuantizedLinear,
    plain_quantized_linear,
    product_bits,
    quantize_for_search,
    quantized_rows,
    quantized_weight,
)
from nmt.model.layers import Linear
from nmt.model.transformer.position_wise import FeedForward


def _draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture
def layer() -> QuantizedLinear:
    return QuantizedLinear(quantized_weight(_draw(96, 640), _draw(96)))


def test_a_weight_is_within_half_a_step_of_each_output() -> None:
    weight = _draw(30, 70) * torch.logspace(-3, 3, 30)[:, None]
    quantized = quantized_weight(weight, None)
    restored = quantized.values * quantized.scales[:, None]
    assert ((restored - weight).abs() <= 0.5001 * quantized.scales[:, None]).all()
    assert (quantized.values.abs().amax(1) == 127).all()


@pytest.mark.parametrize("bits", [7, 8])
def test_a_row_is_within_half_a_step_of_its_largest_number(bits: int) -> None:
    rows = _draw(40, 70) * torch.logspace(-6, 6, 40)[:, None]
    codes, largest = quantized_rows(rows, bits)
    zero = 1 << (bits - 1)
    restored = (codes[:40].float() - zero) * largest / (zero - 1)
    assert ((restored - rows).abs() <= 0.5001 * largest / (zero - 1)).all()
    assert int(codes[:40].amax()) < 2 * zero


def test_the_error_of_a_product_is_within_its_bound(layer: QuantizedLinear) -> None:
    """|x W^T - result| <= sum of |x| dW + |W| dx + dx dW, with half a step for each number."""
    rows = _draw(9, 640)
    weight, bias = _draw(96, 640), _draw(96)
    step_w = 0.5001 * layer.weight.scales[:, None].expand_as(weight)
    step_x = 0.5001 * rows.abs().amax(1, keepdim=True).expand_as(rows)
    step_x = step_x / ((1 << (product_bits() - 1)) - 1)
    bound = rows.abs() @ step_w.t() + step_x @ weight.abs().t() + step_x @ step_w.t()
    assert ((layer(rows) - (rows @ weight.t() + bias)).abs() <= bound + 1e-3).all()


@pytest.mark.parametrize("count", [1, 2, 5, 15, 16, 17, 33, 320])
@pytest.mark.parametrize("relu", [False, True])
def test_the_fast_path_is_the_plain_one(layer: QuantizedLinear, count: int, relu: bool) -> None:
    rows = _draw(count, 640)
    expected = plain_quantized_linear(rows, layer.weight, product_bits(), relu=relu)
    torch.testing.assert_close(layer(rows, relu=relu), expected, rtol=1e-5, atol=1e-5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "quantized_path", lambda rows: dispatch.KernelPath.PLAIN)
        assert torch.equal(layer(rows, relu=relu), expected)


def test_rows_that_are_not_negative_need_no_absolute_values(layer: QuantizedLinear) -> None:
    rows = _draw(20, 640).relu()
    assert torch.equal(layer(rows, nonnegative=True), layer(rows))


def test_a_feed_forward_sublayer_in_int8_is_that_of_its_two_layers(
    tiny_config: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantized_linear, "FEWEST_WEIGHTS", 1)
    sublayer = FeedForward(tiny_config("transformer", "transformer").encoder).eval()
    widen, _, _, narrow = sublayer
    quantize_for_search([widen, narrow])
    states = _draw(3, 4, widen.in_features)
    assert torch.equal(sublayer(states), narrow(widen(states).relu()))


def test_a_row_depends_on_no_other_row(layer: QuantizedLinear) -> None:
    rows = _draw(70, 640)
    together = layer(rows)
    for size in (1, 7, 64):
        assert torch.equal(together, torch.cat([layer(part) for part in rows.split(size)]))
    rows[1:] *= 1e4
    assert torch.equal(together[:1], layer(rows)[:1])


def test_extreme_rows(layer: QuantizedLinear) -> None:
    bias = layer.weight.bias
    assert bias is not None
    assert torch.equal(layer(torch.zeros(2, 640))[0], bias)
    assert layer(torch.empty(3, 0, 640)).shape == (3, 0, 96)
    rows = _draw(2, 640)
    rows[0, 3] = float("nan")
    result = layer(rows)
    assert not result[0].isfinite().any()
    assert torch.equal(result[1], layer(rows[1:])[0])


def test_sums_do_not_overflow() -> None:
    """The greatest codes of inputs and weights, whose sums of two do not fit into 16 bits."""
    weight = torch.ones(64, 1024)
    layer = QuantizedLinear(quantized_weight(weight, None))
    torch.testing.assert_close(layer(torch.ones(3, 1024)), torch.full((3, 64), 1024.0))
    torch.testing.assert_close(layer(-torch.ones(20, 1024)), torch.full((20, 64), -1024.0))


def test_a_restricted_layer_has_the_same_results(layer: QuantizedLinear) -> None:
    rows, outputs = _draw(6, 640), torch.tensor([3, 90, 0])
    torch.testing.assert_close(layer.restricted(outputs)(rows), layer(rows)[:, outputs])


def test_only_large_layers_are_quantized_and_keep_their_weights() -> None:
    large, small = Linear(512, 256), Linear(511, 256)
    weight = large.weight
    quantize_for_search([large, small])
    assert large.quantized is not None
    assert small.quantized is None
    assert large.weight is weight
    rows = _draw(4, 512)
    assert torch.equal(large(rows), large.quantized(rows))
    assert not torch.equal(large(rows), nn.functional.linear(rows, weight, large.bias))


def test_a_processor_without_products_of_integers_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(private_torch, "quantized_product", None)
    quantized_linear.product_bits.cache_clear()
    with pytest.raises(UserError, match="int8 needs oneDNN"):
        product_bits()
    quantized_linear.product_bits.cache_clear()
