"""Adaptive depth: the formula, what it leaves out in search, its loss, and what is logged.

Equivalences of search, training, batches and padding are in test_equivalences.py. Legend: B batch,
T length, D model size, L layers. In search: A sentences, N beams of each.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.evaluation.attention.learned_depths import LearnedDepths
from nmt.kernels import dispatch
from nmt.model.adaptive_depth import EPSILON, AdaptiveDepth, DepthRun, DepthUse
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD

L, D = 4, 6
Config = Callable[..., ModelConfig]
Model = Callable[..., TranslationModel]


def build() -> AdaptiveDepth:
    depth = AdaptiveDepth(D, L, 0.1).double()
    with torch.no_grad():
        depth.halting_weight.normal_()
        depth.halting_bias.fill_(1.0)
    return depth


def passed(run: DepthRun, outputs: Tensor) -> Tensor:
    """Pass the states [B, T, D] that each of L layers gives, [L, B, T, D]."""
    states = outputs[0]
    for layer in outputs:
        states, _ = run.after(layer, None)
    return run.result(states)


def test_it_is_the_formula_for_each_token() -> None:
    depth, outputs = build(), torch.randn(L, 3, 20, D, dtype=torch.float64)
    run = depth.begin(torch.zeros_like(outputs[0]))
    found = passed(run, outputs)
    use = run.use
    assert use is not None
    reached = set()
    for b, t in ((b, t) for b in range(3) for t in range(20)):
        total, expected = 0.0, torch.zeros(D, dtype=torch.float64)
        for n in range(1, L + 1):
            state = outputs[n - 1, b, t]
            share = 1.0
            if n < L:
                normal = state / state.square().mean().sqrt()
                logit = depth.halting_weight[n - 1] @ normal + depth.halting_bias[n - 1]
                share = 1 / (1 + math.exp(-(logit.item() - math.log(L))))
            last = n == L or total + share >= 1 - EPSILON
            share = 1 - total if last else share
            expected = expected + share * state
            if last:
                break
            total += share
        reached.add(n)
        torch.testing.assert_close(found[b, t], expected, rtol=0, atol=1e-6)
        assert use.layers[b, t] == n
        assert math.isclose(use.cost[b, t].item(), n + share, abs_tol=1e-6)
    assert len(reached) >= 3, "the tokens halt after different layers"


def test_a_new_model_passes_all_layers() -> None:
    depth = AdaptiveDepth(D, L, 0.1)
    run = depth.begin(torch.zeros(2, 5, D))
    passed(run, torch.randn(L, 2, 5, D))
    assert run.use is not None
    assert (run.use.layers == L).all()


def test_the_shares_have_the_gradient_of_the_formula() -> None:
    depth, outputs = build(), torch.randn(L, 1, 4, D, dtype=torch.float64, requires_grad=True)

    def result(outputs: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        given = {"halting_weight": weight, "halting_bias": depth.halting_bias.detach()}
        return torch.func.functional_call(_Pass(depth), _named(given), (outputs,))

    weight = depth.halting_weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(result, (outputs, weight), fast_mode=True)


def _named(given: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"depth.{name}": value for name, value in given.items()}


class _Pass(nn.Module):
    def __init__(self, depth: AdaptiveDepth) -> None:
        super().__init__()
        self.depth = depth

    def forward(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        run = self.depth.begin(torch.zeros_like(outputs[0]))
        found = passed(run, outputs)
        assert run.use is not None
        return found, run.use.cost


# ------------------------------------------------------------- whole models


def model_of(tiny_config: Config, tiny_model: Model, **settings: Any) -> TranslationModel:
    shape: dict[str, Any] = dict(num_layers=L, depth="adaptive")
    return tiny_model(tiny_config("transformer", "transformer", **(shape | settings)))


def rows_of(layers: Any) -> list[int]:
    """Count the rows that the feed-forward sublayer of each layer computes, from now on."""
    counts = [0] * len(layers)
    for number, layer in enumerate(layers):

        def count(_module: Any, inputs: tuple[Tensor], number: int = number) -> None:
            counts[number] += inputs[0].numel() // inputs[0].size(-1)

        layer.feed_forward.register_forward_pre_hook(count)
    return counts


def expected_rows(use: DepthUse | None, real: Tensor) -> list[int]:
    assert use is not None
    return [int(((use.layers >= n) & real).sum()) for n in range(1, L + 1)]


def test_search_computes_no_layer_of_a_token_that_has_halted(
    tiny_config: Config, tiny_model: Model, ragged_batch: Batch
) -> None:
    model, batch = model_of(tiny_config, tiny_model), ragged_batch
    dispatch.set_kernels("plain")  # computes all rows of all layers
    try:
        with torch.no_grad():
            forced = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
    finally:
        dispatch.set_kernels("auto")
    of_encoder = rows_of(model.encoder.layers)  # type: ignore[arg-type]
    of_decoder = rows_of(model.decoder.layers)  # type: ignore[arg-type]
    with torch.no_grad():
        state = model.start(model.encode(batch.source_ids, batch.source_mask))
        for number, previous in enumerate(batch.target_input_ids.unbind(1)):
            logits, _, state = model.step(previous, state)
            expected = model.logits(forced.hidden[:, number])
            torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    if dispatch.only_plain():  # in the whole process
        return
    everything = torch.ones_like(batch.target_input_ids) > 0
    source = expected_rows(forced.source_depth, batch.source_mask)
    target = expected_rows(forced.depth, everything)
    assert source[0] > source[-1], "some source pieces halt early"
    assert target[0] > target[-1], "some target pieces halt early"
    assert of_encoder == source
    assert of_decoder == target


@pytest.mark.parametrize("kind", ["full", "local"])
def test_each_beam_halts_by_itself(kind: str, tiny_config: Config, tiny_model: Model) -> None:
    model = model_of(tiny_config, tiny_model, self_attention=kind, attention_window=3)
    source = torch.randint(4, 20, (2, 5))
    encoded = model.encode(source, source > 0)
    paths = torch.ones(2, 1, 1, dtype=torch.long)  # [A, N, pieces]
    with torch.no_grad():
        state = model.start(encoded)
        for _ in range(9):
            rows = paths.flatten(0, 1)
            logits, _, state = model.step(rows[:, -1], state)
            sources = source.repeat_interleave(paths.size(1), 0)
            forced = model.logits(model(sources, sources > 0, rows).hidden[:, -1])
            torch.testing.assert_close(logits, forced, rtol=1e-4, atol=1e-4)
            parents = torch.randint(paths.size(1), (2, 3))
            state = state.reorder(parents)
            paths = torch.stack([of[row] for of, row in zip(paths, parents, strict=True)])
            paths = torch.cat([paths, torch.randint(4, 20, (2, 3, 1))], dim=2)


def test_a_halted_token_keeps_the_weights_of_its_last_layer(
    tiny_config: Config, tiny_model: Model, ragged_batch: Batch
) -> None:
    model, batch = model_of(tiny_config, tiny_model), ragged_batch
    with torch.no_grad():
        output = model(
            batch.source_ids, batch.source_mask, batch.target_input_ids, need_weights=True
        )
    assert output.weights is not None
    assert output.depth is not None
    layers = output.depth.layers.long()
    assert layers.min() < L
    for b, t in ((b, t) for b in range(len(layers)) for t in range(layers.size(1))):
        last = output.weights[b, layers[b, t] - 1, :, t]
        for after in range(int(layers[b, t]), L):
            torch.testing.assert_close(output.weights[b, after, :, t], last, rtol=0, atol=0)


def test_the_loss_adds_the_price_of_each_layer_that_a_real_token_passed(
    tiny_config: Config, tiny_model: Model, ragged_batch: Batch
) -> None:
    losses = {}
    for price in (0.0, 0.25):
        model = model_of(tiny_config, tiny_model, depth_loss=price)
        losses[price] = sequence_loss(model, ragged_batch, 0.1)
    batch = ragged_batch
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
    costs = {
        "encoder_depth_loss": (output.source_depth.cost * batch.source_mask).sum(),
        "decoder_depth_loss": (output.depth.cost * (batch.target_output_ids != PAD)).sum(),
    }
    for name, cost in costs.items():
        torch.testing.assert_close(losses[0.25].extra[name], cost.detach())
    added = losses[0.25].smoothed - losses[0.0].smoothed
    torch.testing.assert_close(added, 0.25 * sum(costs.values()), rtol=1e-4, atol=1e-4)
    losses[0.25].smoothed.backward()
    for part in (model.encoder, model.decoder):
        assert part.depth.halting_weight.grad.abs().sum() > 0


def test_a_price_lowers_the_depth_of_a_model_that_learns(
    tiny_config: Config, tiny_model: Model, ragged_batch: Batch
) -> None:
    means = {}
    for price in (0.0, 1.0):
        model = model_of(tiny_config, tiny_model, depth_loss=price).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(30):
            optimizer.zero_grad()
            sequence_loss(model, ragged_batch, 0.0).smoothed.backward()
            optimizer.step()
        depths = LearnedDepths()
        batch = ragged_batch
        output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
        depths.add("encoder", output.source_depth, batch.source_mask)
        depths.add("decoder", output.depth, batch.target_output_ids != PAD)
        means[price] = depths.scalars()
    for side in ("encoder", "decoder"):
        assert means[1.0][f"depth/{side}/layers"] < means[0.0][f"depth/{side}/layers"]


def test_depths_of_several_batches_and_processes_are_joined() -> None:
    def of(layers: list[int], real: list[bool]) -> LearnedDepths:
        depths, numbers = LearnedDepths(), torch.tensor([layers])
        depths.add("decoder", DepthUse(numbers, numbers, 0.1, 3), torch.tensor([real]))
        depths.add("encoder", None, torch.tensor([real]))
        return depths

    joined = LearnedDepths.joined([of([1, 3, 3], [True, True, False]), of([2], [True])])
    assert joined.scalars() == {
        "depth/decoder/layers": 2.0,
        "depth/decoder/layer-2/share": 2 / 3,
        "depth/decoder/layer-3/share": 1 / 3,
    }
