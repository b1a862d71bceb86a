"""Dropout on the attention weights of an RNN decoder.

Legend: B batch, H heads, T target length, S source length.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.config.checks.check_model import check_model
from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.kernels import dispatch
from nmt.model import layers
from nmt.model.attention.core import Attention
from nmt.model.attention.dot import DotAttention
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel

KINDS: dict[str, dict[str, Any]] = {
    "bahdanau": dict(attention="bahdanau"),
    "bahdanau-coverage": dict(attention="bahdanau", coverage="sum"),
    "concat-coverage-unfed": dict(
        attention="luong_concat", coverage="fertility", input_feeding=False
    ),
    "cosine-local_p": dict(attention="cosine", window="local_p"),
    "location-local_m": dict(attention="luong_location", window="local_m"),
    **{
        f"{score}-{'fed' if fed else 'unfed'}": dict(attention=score, input_feeding=fed)
        for score in ("luong_dot", "luong_general", "cosine", "multi_head")
        for fed in (False, True)
    },
}

Build = Callable[[Mapping[str, Any], float], TranslationModel]


@pytest.fixture
def build(
    tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> Build:
    """Build the same model of a kind in float64, with a probability of dropping weights."""

    def build(kind: Mapping[str, Any], dropout: float) -> TranslationModel:
        return tiny_model(tiny_config(**{**kind, "attention_dropout": dropout})).double()

    return build


@pytest.fixture
def low_weights_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make dropout zero what lies below the mean, and double the rest, without random numbers."""

    def drop(inputs: Tensor, probability: float) -> Tensor:
        if not probability:
            return inputs
        return torch.where(inputs < inputs.mean(-1, keepdim=True), 0.0, 2 * inputs)

    monkeypatch.setattr(layers, "dropout", drop)


def hidden(model: TranslationModel, batch: Batch) -> Tensor:
    ids = (batch.source_ids, batch.source_mask, batch.target_input_ids)
    result: Tensor = model(*ids, need_weights=False).hidden
    return result


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_evaluation_drops_nothing(
    build: Build, ragged_batch: Batch, kind: Mapping[str, Any]
) -> None:
    with torch.no_grad():
        assert torch.equal(
            hidden(build(kind, 0.5), ragged_batch), hidden(build(kind, 0.0), ragged_batch)
        )


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_training_drops_weights_but_returns_them_all(
    build: Build, ragged_batch: Batch, kind: Mapping[str, Any]
) -> None:
    batch = ragged_batch
    ids = (batch.source_ids, batch.source_mask, batch.target_input_ids)
    plain, dropped = build(kind, 0.0).train(), build(kind, 0.5).train()
    with torch.no_grad():
        expected, found = (model(*ids, need_weights=True) for model in (plain, dropped))
        again = dropped(*ids, need_weights=True)
    assert not torch.equal(found.hidden, expected.hidden)
    assert not torch.equal(found.hidden, again.hidden), "every pass drops the same weights"
    first = found.weights[:, :, :, 0]  # the first step, which no dropped context precedes
    torch.testing.assert_close(first, expected.weights[:, :, :, 0])


@pytest.mark.usefixtures("low_weights_drop")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_steps_drop_as_the_whole_target_does(
    build: Build, ragged_batch: Batch, kind: Mapping[str, Any]
) -> None:
    model = build(kind, 0.5).train()
    with torch.no_grad():
        at_once = hidden(model, ragged_batch)
        state = model.start(model.encode(ragged_batch.source_ids, ragged_batch.source_mask))
        for position, previous in enumerate(ragged_batch.target_input_ids.unbind(1)):
            output, state = model.decoder.step(previous, state, need_weights=False)
            torch.testing.assert_close(output.hidden, at_once[:, position])
    kept = hidden(build(kind, 0.0).train(), ragged_batch)
    assert not torch.allclose(kept, at_once), "nothing was dropped"


@pytest.mark.usefixtures("low_weights_drop")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_fast_kernels_have_the_gradients_of_the_plain_ones(
    build: Build,
    ragged_batch: Batch,
    kind: Mapping[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, found = build(kind, 0.5).train(), []
    for kernels in (dispatch.Kernels.PLAIN, dispatch.Kernels.AUTO):
        monkeypatch.setattr(dispatch._Selection, "kernels", kernels)
        loss = sequence_loss(model, ragged_batch, 0.1).smoothed
        found.append(torch.autograd.grad(loss, list(model.parameters())))
    torch.testing.assert_close(found[1], found[0])


def test_each_weight_is_dropped_with_the_probability_and_the_others_are_scaled() -> None:
    torch.manual_seed(1)
    attention: Attention = DotAttention(4, 4).train()
    attention.dropout.probability = 0.25
    B, T, S = 50, 20, 10
    states = torch.eye(S)[:, None].expand(S, B, S).transpose(0, 1)  # contexts show the weights
    queries, mask = torch.zeros(B, T, S), torch.ones(B, S, dtype=torch.bool)
    context = attention(queries, attention.build_memory(states, mask)).context
    kept = context[context != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / S / 0.75))
    # The share of n draws has a deviation of sqrt(p (1 - p) / n); 5 are allowed.
    share = len(kept) / context.numel()
    assert abs(share - 0.75) < 5 * (0.75 * 0.25 / context.numel()) ** 0.5


def test_dropout_without_attention_is_refused(tiny_config: Callable[..., ModelConfig]) -> None:
    config = tiny_config(attention="none", attention_dropout=0.1)
    (message,) = check_model(config, joint=True)
    assert "attention_dropout=0.1 has no effect" in message
    assert "attention=none" in message
    assert not list(check_model(tiny_config(attention_dropout=0.1), joint=True))
