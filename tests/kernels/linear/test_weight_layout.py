"""Weights that are stored for search have the same shapes, values and results."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from nmt.kernels import dispatch, private_torch
from nmt.kernels.linear.feed_forward import feed_forward, plain_feed_forward
from nmt.kernels.linear.linear_layer import linear, padded_rows, plain_linear
from nmt.kernels.linear.weight_layout import (
    cast_for_search,
    lay_out_for_search,
    pack_for_search,
    rows_for_search,
)
from nmt.model.layers import Linear

AGREE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pack every weight, on every processor."""
    if private_torch.pack_weight is None or private_torch.onednn_product is None:
        pytest.skip("this torch cannot pack weights")
    monkeypatch.setattr(dispatch, "_onednn_is_faster", lambda dtype: dtype == torch.float32)
    monkeypatch.setattr(dispatch, "FEWEST_PACKED", 1)


def test_weights_are_stored_by_columns_and_an_embedding_by_rows() -> None:
    embedding, layer = nn.Embedding(30, 8), nn.Linear(8, 30)
    layer.weight = embedding.weight
    states = torch.randn(5, 8)
    expected = layer(states)
    lay_out_for_search([layer])
    assert layer.weight.t().is_contiguous()
    assert embedding.weight.is_contiguous()
    assert torch.equal(layer.weight, embedding.weight)
    torch.testing.assert_close(layer(states), expected, rtol=1e-5, atol=1e-6)


def test_weights_of_a_gpu_and_of_plain_kernels_stay() -> None:
    layer = nn.Linear(8, 30)
    with dispatch.as_on_accelerator():
        lay_out_for_search([layer])
    assert layer.weight.is_contiguous()
    dispatch.set_kernels("plain")
    try:
        lay_out_for_search([layer])
    finally:
        dispatch.set_kernels("auto")
    assert layer.weight.is_contiguous()


@torch.inference_mode()
def test_weights_that_are_cast_beforehand_give_the_results_of_autocast() -> None:
    embedding, shared, layer = nn.Embedding(30, 8), nn.Linear(8, 30, bias=False), nn.Linear(30, 4)
    shared.weight = embedding.weight
    states = torch.randn(5, 8)
    with torch.autocast("cpu", torch.bfloat16):
        expected = layer(shared(states))
        cast_for_search([shared, layer], torch.bfloat16)
        assert torch.equal(layer(shared(states)), expected)
    stored = shared.weight, layer.weight, layer.bias
    assert all(parameter.dtype == torch.bfloat16 for parameter in stored)
    assert embedding.weight.dtype == torch.float32


@pytest.mark.parametrize("by_onednn", [False, True])
@torch.inference_mode()
def test_layers_without_gradients_agree_with_the_plain_ones(
    monkeypatch: pytest.MonkeyPatch, *, by_onednn: bool
) -> None:
    monkeypatch.setattr(dispatch, "_onednn_is_faster", lambda dtype: by_onednn)
    states = torch.randn(2, 3, 8)
    first, second = nn.Linear(8, 40), nn.Linear(40, 8)
    lay_out_for_search([first, second])
    agree = {"rtol": 1e-5, "atol": 1e-6}
    found = linear(states, first.weight, first.bias)
    torch.testing.assert_close(found, plain_linear(states, first.weight, first.bias), **agree)
    parameters = first.weight, first.bias, second.weight, second.bias
    before = states.clone()
    found = feed_forward(states, *parameters, 0.0)
    torch.testing.assert_close(found, plain_feed_forward(states, *parameters, 0.0), **agree)
    assert torch.equal(states, before)


@pytest.mark.usefixtures("packs")
@pytest.mark.parametrize("rows", [0, 1, 5, 8, 9, 33, 65, 129])
@torch.inference_mode()
def test_a_packed_layer_gives_the_results_of_the_plain_one_for_any_number_of_rows(
    rows: int,
) -> None:
    layer, states = Linear(24, 40), torch.randn(rows, 24)
    expected, kept = plain_linear(states, layer.weight, layer.bias), layer.weight.clone()
    pack_for_search([layer])
    assert layer.weight.is_mkldnn
    assert layer.weight.shape == kept.shape
    assert layer.weight.dtype == torch.float32
    torch.testing.assert_close(layer(states), expected, **AGREE)
    chosen = torch.tensor([3, 0, 39])
    assert torch.equal(rows_for_search(layer.weight, chosen), kept[chosen])


@pytest.mark.usefixtures("packs")
def test_a_packed_layer_has_plain_kernels_and_gradients_of_its_input() -> None:
    first, second = Linear(24, 40), Linear(40, 24)
    states = torch.randn(5, 24, requires_grad=True)
    parameters = [p.detach() for one in (first, second) for p in (one.weight, one.bias)]
    expected = plain_feed_forward(states, *parameters, 0.0)
    (gradient,) = torch.autograd.grad(expected.square().sum(), states)
    pack_for_search([first, second])
    packed = first.weight, first.bias, second.weight, second.bias
    for kernels in ("auto", "plain"):
        dispatch.set_kernels(kernels)
        try:
            found = feed_forward(states, *packed, 0.0)
            composed = second(first(states).relu())
        finally:
            dispatch.set_kernels("auto")
        for result in (found, composed):
            torch.testing.assert_close(result, expected, **AGREE)
            (other,) = torch.autograd.grad(result.square().sum(), states, retain_graph=True)
            torch.testing.assert_close(other, gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("packs")
def test_packing_copies_the_weight_of_an_embedding_and_happens_once() -> None:
    embedding, layer = nn.Embedding(30, 8), Linear(8, 30)
    layer.weight = embedding.weight
    pack_for_search([layer])
    packed = layer.weight
    pack_for_search([layer])
    lay_out_for_search([layer])
    assert layer.weight is packed
    assert embedding.weight.is_contiguous()
    assert torch.equal(packed.to_dense(), embedding.weight)


@pytest.mark.usefixtures("packs")
@pytest.mark.parametrize("reason", ["gpu", "plain", "torch", "small", "bfloat16"])
def test_weights_that_packing_would_not_speed_up_stay(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Linear(8, 30)
    if reason == "torch":
        monkeypatch.setattr(private_torch, "pack_weight", None)
    elif reason == "small":
        monkeypatch.setattr(dispatch, "FEWEST_PACKED", 241)
    elif reason == "bfloat16":
        layer.bfloat16()
    elif reason == "plain":
        dispatch.set_kernels("plain")
    try:
        with dispatch.as_on_accelerator() if reason == "gpu" else nullcontext():
            pack_for_search([layer])
    finally:
        dispatch.set_kernels("auto")
    assert not layer.weight.is_mkldnn


def test_rows_are_padded_little_and_to_few_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few numbers keep the cache of kernels small; the limits follow from the multiples."""
    monkeypatch.setattr(dispatch, "_onednn_is_faster", lambda dtype: True)
    if private_torch.onednn_product is None or not torch.backends.mkldnn.enabled:
        pytest.skip("this torch multiplies without oneDNN")
    lengths = range(1, 1025)
    for dtype, distinct, most in ((torch.float32, 29, 3), (torch.bfloat16, 15, 15)):
        padded = [len(padded_rows(torch.ones(n, 2), dtype)) for n in lengths]
        assert len(set(padded)) == distinct
        assert all(0 <= after - n < 128 for n, after in zip(lengths, padded, strict=True))
        assert all(after - n <= most for n, after in zip(lengths[:32], padded, strict=False))
