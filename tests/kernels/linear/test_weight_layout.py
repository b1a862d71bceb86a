"""Weights that are stored for search have the same shapes, values and results."""

import pytest
import torch
from torch import nn

from nmt.kernels import dispatch
from nmt.kernels.linear.feed_forward import feed_forward, plain_feed_forward
from nmt.kernels.linear.linear_layer import linear, plain_linear
from nmt.kernels.linear.weight_layout import cast_for_search, lay_out_for_search


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
