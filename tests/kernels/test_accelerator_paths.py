"""The paths of a GPU, run on the CPU: each model has the loss and gradient of the plain paths.

Legend: B batch, T queries, S keys, H heads, K head size.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.kernels import dispatch, private_torch
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.kernels.attention.scaled_dot_product import naive_attention, torch_attention
from nmt.kernels.linear.weight_casts import WeightCasts
from nmt.kernels.prediction import chunk_sizes
from nmt.kernels.prediction.cross_entropy import projected_cross_entropy
from nmt.kernels.tensor_lists import lerp_all_
from nmt.model.layers import Linear
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.model.transformer.recompute import recompute_layers

B, T, S, H, K = 3, 5, 7, 2, 8
BFLOAT = torch.bfloat16

pytestmark = pytest.mark.usefixtures("restored_kernels")


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(dispatch.ENVIRONMENT_VARIABLE, raising=False)


def gradients(model: TranslationModel, batch: Batch) -> list[Tensor]:
    loss = sequence_loss(model, batch, 0.1).smoothed
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    return [loss.detach(), *(grad for grad in found if grad is not None)]


def test_every_model_has_the_loss_and_gradient_of_the_plain_paths(
    model: TranslationModel, ragged_batch: Batch
) -> None:
    model.double()
    dispatch.set_kernels("plain")
    expected = gradients(model, ragged_batch)
    dispatch.set_kernels("auto")
    with dispatch.as_on_accelerator():
        found = gradients(model, ragged_batch)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8, check_dtype=False)


@pytest.mark.parametrize("kind", ["padding", "causal"])
def test_a_shared_mask_is_that_of_the_formula(kind: str) -> None:
    query, length = torch.randn(B, H, T, K), T if kind == "causal" else S
    keys, values = torch.randn(2, B, H, length, K)
    if kind == "causal":
        mask = AttentionMask.causal(T, query.device)
    else:
        lengths = torch.tensor([S, 2, 1])
        mask = AttentionMask((torch.arange(S) < lengths[:, None])[:, None, None, :])
    expected = naive_attention(query, keys, values, mask.allowed)
    with dispatch.as_on_accelerator():
        torch.testing.assert_close(torch_attention(query, keys, values, mask), expected)
    torch.testing.assert_close(torch_attention(query, keys, values, mask), expected)


def test_the_bias_of_a_mask_is_made_once_with_aligned_rows() -> None:
    mask = AttentionMask(torch.rand(B, 1, 1, S) > 0.5)
    heads = torch.randn(B, H, S, K).bfloat16()
    bias = mask.bias(heads)
    assert bias is mask.bias(heads)
    assert bias.dtype == BFLOAT
    assert torch.equal(bias == 0, mask.allowed)
    assert torch.equal(bias == -math.inf, ~mask.allowed)
    *others, last = bias.stride()
    assert last == 1
    assert not any(stride % 8 for stride in others), "the memory-efficient kernel would copy it"


@pytest.mark.parametrize("change", ["none", "recompute", "frozen", "layer_drop"])
def test_weights_cast_together_give_the_numbers_of_autocast(
    change: str, tiny_config: Callable[..., ModelConfig], tiny_model: Any, ragged_batch: Batch
) -> None:
    model = tiny_model(tiny_config("transformer", "transformer", num_layers=3))
    recompute_layers(model, change == "recompute")
    if change == "frozen":
        model.encoder.requires_grad_(False)
    if change == "layer_drop":
        model.encoder.layer_drop.probability = 0.5
        model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    casts = WeightCasts(m for m in model.modules() if isinstance(m, Linear))
    results = []
    for together in (False, True):
        torch.manual_seed(2)  # the layers that are dropped
        with dispatch.as_on_accelerator():
            with torch.autocast("cpu", dtype=BFLOAT):
                if together:
                    with casts():
                        assert model.encoder.layers[0].feed_forward[0].weight.dtype == BFLOAT
                        loss = sequence_loss(model, ragged_batch, 0.1).smoothed
                else:
                    loss = sequence_loss(model, ragged_batch, 0.1).smoothed
            grads = torch.autograd.grad(loss, trained, allow_unused=True)
        results.append([loss.detach(), *grads])
    assert all(p.dtype == torch.float32 for p in model.parameters())
    missing = [[grad is None for grad in result] for result in results]
    assert missing[0] == missing[1], "a layer that did not run has no gradient"
    assert any(missing[0]) == (change == "layer_drop")
    for one, other in zip(*results, strict=True):
        assert one is None or torch.equal(one, other)


def test_weights_stay_where_nothing_is_gained() -> None:
    layer = Linear(2, 2)
    with WeightCasts([layer])():
        assert layer.weight.dtype == torch.float32
    with dispatch.as_on_accelerator(), WeightCasts([layer])():
        assert layer.weight.dtype == torch.float32, "there is no autocast"
    with torch.autocast("cpu", dtype=BFLOAT), WeightCasts([layer])():
        assert layer.weight.dtype == torch.float32, "each layer of a CPU casts its weight"
    assert isinstance(layer.weight, nn.Parameter)


@pytest.mark.parametrize("private", [True, False])
def test_a_weight_on_the_device_moves_an_average_as_lerp_does(
    private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not private:
        for name in private_torch.PRIVATE_NAMES:
            monkeypatch.setattr(private_torch, name, None)
    for weight in (0.0, 0.3):
        averages, ends = [torch.randn(3), torch.randn(2, 2)], [torch.randn(3), torch.randn(2, 2)]
        expected = [a.lerp(e, weight) for a, e in zip(averages, ends, strict=True)]
        before = [average.clone() for average in averages]
        with dispatch.as_on_accelerator():
            lerp_all_(averages, ends, torch.tensor(weight))
        torch.testing.assert_close(averages, expected)
        assert weight or all(map(torch.equal, averages, before))


@pytest.mark.parametrize("size", [7_999, 8_000, 32_000])
def test_logits_of_an_update_are_one_chunk_where_memory_allows(size: int) -> None:
    rows = torch.empty(25_000, 1, dtype=BFLOAT)
    with dispatch.as_on_accelerator():
        chunk = chunk_sizes.logits_rows(size, rows, bytes_per_logit=4)
    assert chunk * size * 4 <= chunk_sizes.BYTES_PER_CHUNK < (chunk + 1) * size * 4
    assert (chunk >= len(rows)) == (size < 20_000)


def test_rows_without_targets_have_a_loss_of_zero() -> None:
    hidden, weight = torch.randn(4, 6, requires_grad=True), torch.randn(9, 6, requires_grad=True)
    with dispatch.as_on_accelerator():
        smoothed, exact = projected_cross_entropy(
            hidden, weight, torch.full((4,), -100), 0.1, ignores=True
        )
    assert smoothed.item() == exact.item() == 0
    assert not any(grad.any() for grad in torch.autograd.grad(smoothed, (hidden, weight)))
