"""A GPU computes what a CPU does: loss, gradient and translation of every kind of model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt import runtime
from nmt.config.schema import DecodingConfig
from nmt.data.batches.batch import Batch
from nmt.decoding.repeated_step import CudaGraphs
from nmt.decoding.search import Hypothesis, beam_search
from nmt.kernels import dispatch
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD

pytestmark = pytest.mark.cuda

TOLERANCE = 1e-4  # relative to the largest value


def gradients(model: TranslationModel, batch: Batch) -> dict[str, Tensor]:
    """Return the loss and all gradients, on the CPU."""
    model.zero_grad(set_to_none=True)
    loss = sequence_loss(model, batch, 0.1).smoothed
    loss.backward()
    found = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach().cpu(), **found}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        bound = TOLERANCE * max(1e-3, value.abs().max().item())
        assert (found[name] - value).abs().max() <= bound, name


def with_fixed_shape(batch: Batch) -> Batch:
    """Add padding on both sides and a row that only completes the shape: EOS, without a target."""
    row = torch.full((1, batch.source_ids.size(1)), PAD)
    row[0, 0] = EOS
    sources = functional.pad(torch.cat([batch.source_ids, row]), (0, 3), value=PAD)
    inputs = functional.pad(batch.target_input_ids, (0, 2, 0, 1), value=PAD)
    inputs[-1, 0] = BOS
    outputs = functional.pad(batch.target_output_ids, (0, 2, 0, 1), value=PAD)
    return Batch(sources, sources != PAD, inputs, outputs, batch.num_tokens, fixed_shape=True)


@pytest.mark.parametrize("kernels", ["plain", "auto"])
def test_loss_and_gradients_are_those_of_the_cpu(
    device: torch.device, model: TranslationModel, ragged_batch: Batch, kernels: str
) -> None:
    dispatch.set_kernels("plain")
    expected = gradients(model, ragged_batch)
    dispatch.set_kernels(kernels)
    model.to(device).train()  # cuDNN has no backward pass in evaluation; nothing is dropped
    assert_close(gradients(model, ragged_batch.to(device)), expected)
    fixed = with_fixed_shape(ragged_batch)
    assert_close(gradients(model, fixed.to(device)), expected)


def search(model: TranslationModel, batch: Batch, device: torch.device) -> list[list[Hypothesis]]:
    options = DecodingConfig(beam_size=3, max_length_extra=8)
    ids, mask = batch.source_ids.to(device), batch.source_mask.to(device)
    graphs = CudaGraphs(device, report=pytest.fail) if device.type == "cuda" else None
    return beam_search(model.to(device).eval(), ids, mask, options, graphs=graphs)


def test_translations_are_those_of_the_cpu(
    device: torch.device, model: TranslationModel, ragged_batch: Batch
) -> None:
    dispatch.set_kernels("plain")
    expected = search(model, ragged_batch, torch.device("cpu"))
    dispatch.set_kernels("auto")
    for found, wanted in zip(search(model, ragged_batch, device), expected, strict=True):
        assert [h.score for h in found] == pytest.approx([h.score for h in wanted], rel=TOLERANCE)
        assert found[0].ids == wanted[0].ids


def test_search_in_bfloat16_ends_with_finite_scores(
    device: torch.device, model: TranslationModel, ragged_batch: Batch
) -> None:
    with runtime.autocast(device, torch.bfloat16):
        for hypotheses in search(model, ragged_batch, device):
            assert hypotheses
            for hypothesis in hypotheses:
                assert -1e4 < hypothesis.log_prob <= 0
                assert EOS not in hypothesis.ids


@pytest.mark.parametrize("name", ["transformer-pre", "bahdanau-gru-1", "luong_dot-gru-1"])
def test_a_batch_gives_the_same_gradients_twice_with_deterministic_kernels(
    device: torch.device,
    kind: Callable[..., Any],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    name: str,
) -> None:
    runtime.set_cuda_numerics(tf32=False, deterministic=True)
    model = tiny_model(kind(name)).to(device).train()
    batch = replace(ragged_batch).to(device)
    first, second = gradients(model, batch), gradients(model, batch)
    for key, value in first.items():
        assert torch.equal(second[key], value), key
