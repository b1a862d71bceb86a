"""Weights used in a loop: one product computes the gradient that autograd sums step by step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.recurrent.loop_over_time import loop_over_time, repeated_linear
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel


def plain(layer: nn.Linear, state: Tensor) -> Tensor:
    for _ in range(4):
        state = repeated_linear(layer, state).tanh() + state
    return state.square().sum()


def looped(layer: nn.Linear, state: Tensor) -> Tensor:
    with loop_over_time():
        return plain(layer, state)


@pytest.mark.parametrize("bias", [True, False])
def test_gradient_is_that_of_plain_layers(bias: bool) -> None:
    layer = nn.Linear(5, 5, bias=bias).double()
    first = torch.randn(3, 2, 5, dtype=torch.double, requires_grad=True)
    found = looped(layer, first)
    expected = plain(layer, first)
    torch.testing.assert_close(
        torch.autograd.grad(found, [first, *layer.parameters()]),
        torch.autograd.grad(expected, [first, *layer.parameters()]),
    )


def test_frozen_layer_passes_the_gradient_on_and_gets_none() -> None:
    layer = nn.Linear(5, 5).requires_grad_(False)
    first = torch.randn(2, 5, requires_grad=True)
    looped(layer, first).backward()
    assert layer.weight.grad is None
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


def test_a_loop_leaves_no_state_on_its_layers() -> None:
    layer = nn.Linear(5, 5)
    before = dict(vars(layer))
    looped(layer, torch.randn(2, 5))
    assert vars(layer) == before


@pytest.mark.parametrize("attention", ["bahdanau", "luong_general", "multi_head"])
def test_a_decoders_gradient_is_the_same_with_plain_layers(
    attention: str,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model(tiny_config("rnn", attention=attention)).double().eval()
    parameters = list(model.parameters())
    found = torch.autograd.grad(sequence_loss(model, ragged_batch, 0.1).smoothed, parameters)
    monkeypatch.setattr(dispatch, "loop_over_time_path", lambda: KernelPath.PLAIN)
    expected = torch.autograd.grad(sequence_loss(model, ragged_batch, 0.1).smoothed, parameters)
    torch.testing.assert_close(found, expected)


def test_a_gradient_of_the_states_alone_does_not_change_that_of_the_weights() -> None:
    layer, first = nn.Linear(5, 5), torch.randn(2, 5, requires_grad=True)
    loss = looped(layer, first)
    torch.autograd.grad(loss, first, retain_graph=True)
    twice = torch.autograd.grad(loss, layer.weight)
    once = torch.autograd.grad(looped(layer, first), layer.weight)
    torch.testing.assert_close(twice, once)
