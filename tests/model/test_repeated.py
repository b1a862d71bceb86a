"""Weights inside a loop: one product makes the gradient that autograd sums up step by step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.data.batch import Batch
from nmt.model.loss import sequence_loss
from nmt.model.repeated import RepeatedLinear, one_gradient
from nmt.model.seq2seq import TranslationModel


def looped(layer: nn.Linear, state: Tensor) -> Tensor:
    for _ in range(4):
        state = layer(state).tanh() + state
    return state.square().sum()


@pytest.mark.parametrize("bias", [True, False])
def test_gradient_is_that_of_plain_layers(bias: bool) -> None:
    ours = RepeatedLinear(5, 5, bias=bias).double()
    plain = nn.Linear(5, 5, bias=bias).double()
    plain.load_state_dict(ours.state_dict())
    first = torch.randn(3, 2, 5, dtype=torch.double, requires_grad=True)
    with one_gradient(ours):
        found = looped(ours, first)
    expected = looped(plain, first)
    torch.testing.assert_close(
        torch.autograd.grad(found, [first, *ours.parameters()]),
        torch.autograd.grad(expected, [first, *plain.parameters()]),
    )


def test_frozen_layer_hands_the_gradient_on_and_gets_none() -> None:
    layer = RepeatedLinear(5, 5).requires_grad_(False)
    first = torch.randn(2, 5, requires_grad=True)
    with one_gradient(layer):
        looped(layer, first).backward()
    assert layer.weight.grad is None
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


def test_outside_of_the_loop_nothing_is_kept() -> None:
    layer = RepeatedLinear(5, 5)
    with one_gradient(layer):
        pass
    assert not [name for name in vars(layer) if name == "_loop" and layer._loop is not None]


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
    monkeypatch.setattr(RepeatedLinear, "forward", nn.Linear.forward)
    expected = torch.autograd.grad(sequence_loss(model, ragged_batch, 0.1).smoothed, parameters)
    torch.testing.assert_close(found, expected)


def test_a_gradient_of_the_states_alone_leaves_the_weights_own_as_it_is() -> None:
    layer, first = RepeatedLinear(5, 5), torch.randn(2, 5, requires_grad=True)
    with one_gradient(layer):
        loss = looped(layer, first)
    torch.autograd.grad(loss, first, retain_graph=True)
    twice = torch.autograd.grad(loss, layer.weight)
    with one_gradient(layer):
        once = torch.autograd.grad(looped(layer, first), layer.weight)
    torch.testing.assert_close(twice, once)
