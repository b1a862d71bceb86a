"""Copying by a pointer: the equations of See et al. 2017, written as loops in float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.kernels import dispatch
from nmt.model.interfaces import DecoderOutput
from nmt.model.losses.loss import sequence_loss
from nmt.model.pointer import Copying, mixed_log_probs
from nmt.model.recurrent.rnn_decoder import RnnDecoder
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD

KINDS: list[dict[str, Any]] = [
    dict(attention="bahdanau"),
    dict(attention="bahdanau", maxout_size=8, coverage="sum", num_layers=2, cell="lstm"),
    dict(attention="luong_general"),
    dict(attention="luong_dot", input_feeding=False, cell="lstm"),
    dict(attention="multi_head", encoder="transformer"),
]
PIECES = 29  # of the one vocabulary


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def pointer_model(
    request: pytest.FixtureRequest,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> TranslationModel:
    return tiny_model(tiny_config(copy="pointer", **request.param), PIECES, PIECES).double()


@pytest.fixture
def batch(batch_of: Callable[[list[Any]], Batch]) -> Batch:
    """Sources with repeated pieces, targets with pieces of the source and others."""
    return batch_of([([5, 6, 7, 5, 5], [5, 6, 9]), ([8, 9], [7, 7, 8, 10, 11, 9]), ([4], [4])])


def run(model: TranslationModel, batch: Batch) -> DecoderOutput:
    inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
    return model(*inputs, need_weights=True)


def test_the_distribution_is_that_of_the_paper(
    pointer_model: TranslationModel, batch: Batch
) -> None:
    """Eq. 9: p_gen P_vocab(w) + (1 - p_gen) times the sum of the weights where the source has w."""
    output = run(pointer_model, batch)
    assert output.copying is not None
    assert output.weights is not None
    found = pointer_model.predictions(output).exp()
    vocabulary = pointer_model.logits(output.hidden).softmax(-1)
    p_gen = 1 / (1 + (-output.copying.gate).exp())
    attention = output.weights[:, 0].mean(1)
    for b, ids in enumerate(batch.source_ids.tolist()):
        for t in range(found.size(1)):
            expected = [p_gen[b, t].item() * vocabulary[b, t, w].item() for w in range(PIECES)]
            for i, piece in enumerate(ids):
                expected[piece] += (1 - p_gen[b, t].item()) * attention[b, t, i].item()
            assert sum(expected) == pytest.approx(1, abs=1e-6)  # weights are softmax in float32
            assert found[b, t].tolist() == pytest.approx(expected, abs=1e-6)


def test_p_gen_reads_context_state_and_input(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    batch: Batch,
) -> None:
    """Eq. 8, with the context, the state and the embedding computed by hand, step by step."""
    model = tiny_model(tiny_config(copy="pointer", attention="luong_general"), PIECES, PIECES)
    decoder = model.decoder
    assert isinstance(decoder, RnnDecoder)
    assert decoder.pointer is not None
    contexts: list[Tensor] = []
    hook = decoder.attention.register_forward_hook(
        lambda _module, _inputs, output: contexts.append(output.context)
    )
    copying = run(model, batch).copying
    hook.remove()
    assert copying is not None
    state, states = model.start(model.encode(batch.source_ids, batch.source_mask)), []
    for previous in batch.target_input_ids.unbind(1):
        _, _, state = model.step(previous, state)
        states.append(state.layer_states[-1])  # type: ignore[attr-defined]
    weight, bias = decoder.pointer.gate.weight[0], decoder.pointer.gate.bias
    embedded = decoder.embedding(batch.target_input_ids)
    sizes = [contexts[0].size(-1), states[0].size(-1), embedded.size(-1)]
    w_context, w_state, w_input = weight.split(sizes)
    for t, (context, hidden) in enumerate(zip(contexts, states, strict=True)):
        expected = context[:, 0] @ w_context + hidden @ w_state + embedded[:, t] @ w_input + bias
        torch.testing.assert_close(copying.gate[:, t], expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kernels", list(dispatch.Kernels))
def test_the_loss_is_that_of_the_distribution(
    pointer_model: TranslationModel,
    batch: Batch,
    smoothing: float,
    kernels: dispatch.Kernels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Smoothing applies to P_vocab alone."""
    monkeypatch.setattr(dispatch._Selection, "kernels", kernels)
    found = sequence_loss(pointer_model, batch, smoothing)
    output = run(pointer_model, batch)
    log_probs = pointer_model.predictions(output)
    generated = pointer_model.logits(output.hidden).log_softmax(-1)
    likelihood, uniform = 0.0, 0.0
    for b, t in (batch.target_output_ids != PAD).nonzero().tolist():
        likelihood += log_probs[b, t, int(batch.target_output_ids[b, t])].item()
        uniform += generated[b, t].mean().item()
    assert found.negative_log_likelihood.item() == pytest.approx(-likelihood)
    expected = -(1 - smoothing) * likelihood - smoothing * uniform
    assert found.smoothed.item() == pytest.approx(expected)


def test_the_gradient_is_that_of_finite_differences(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    batch: Batch,
) -> None:
    """In the direction of a random change of all weights, attention and p_gen among them."""
    settings = tiny_config(copy="pointer", attention="luong_general")
    model = tiny_model(settings, PIECES, PIECES).double().train()
    sequence_loss(model, batch, 0.1).smoothed.backward()
    parameters = list(model.parameters())
    change = [torch.randn_like(parameter) for parameter in parameters]
    slope = sum((p.grad * c).sum().item() for p, c in zip(parameters, change, strict=True))
    step, losses = 1e-4, []
    for sign in (1, -2):
        with torch.no_grad():
            for parameter, one in zip(parameters, change, strict=True):
                parameter += sign * step * one
            losses.append(sequence_loss(model, batch, 0.1).smoothed.item())
    # Attention is normalised in float64 here, so the error is that of central differences.
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize("gate", [-200.0, 0.0, 200.0])
def test_extreme_p_gen_gives_a_distribution_and_finite_gradients(gate: float) -> None:
    logits = torch.randn(1, 6, requires_grad=True)
    weights = torch.tensor([[0.25, 0.75, 0.0]], requires_grad=True)
    gates = torch.tensor([gate], requires_grad=True)
    log_probs = mixed_log_probs(logits, Copying(gates, weights, torch.tensor([[4, 4, 2]])))
    assert log_probs.exp().sum().item() == pytest.approx(1)
    if gate < 0:
        assert log_probs[0, 4].exp().item() == pytest.approx(1)
    chosen = log_probs[0, 4] + log_probs[0, 2].clamp_min(-100)
    for gradient in torch.autograd.grad(chosen, (logits, weights, gates)):
        assert gradient.isfinite().all()


def test_a_part_of_the_vocabulary_is_refused(pointer_model: TranslationModel, batch: Batch) -> None:
    output = run(pointer_model, batch)
    part = pointer_model.output_part(torch.arange(8))
    with pytest.raises(ValueError, match="needs all pieces"):
        pointer_model.predictions(output, part)


def test_without_the_setting_a_model_has_no_further_weights(
    tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> None:
    plain, copying = (
        dict(tiny_model(tiny_config(copy=copy)).named_parameters()) for copy in ("none", "pointer")
    )
    assert copying.keys() - plain.keys() == {
        "decoder.pointer.gate.weight",
        "decoder.pointer.gate.bias",
    }
    assert math.prod(copying["decoder.pointer.gate.weight"].shape) == 12 + 10 + 11
