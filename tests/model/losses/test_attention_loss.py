"""Attention losses equal the papers' formulas, add up over batches, and train the attention."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.config.recipe_settings import GuidedAlignmentConfig
from nmt.data.batches.batch import Batch, collate
from nmt.model.build import build_model
from nmt.model.losses.attention_loss import coverage_loss, guided_alignment_loss
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD

B, L, H, T, S = 3, 2, 3, 5, 4
LENGTHS = (5, 2, 3)  # of the targets

Configs = Callable[..., ModelConfig]


def attention(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(B, L, H, T, S, dtype=dtype).softmax(-1)


def links() -> Tensor:
    """Random links; every third piece, pads and the last piece of a sentence (EOS) have none."""
    given = (torch.rand(B, T, S) < 0.5).double()
    given[:, ::3] = 0
    for row, length in enumerate(LENGTHS):
        given[row, length - 1 :] = 0
    return given / given.sum(-1, keepdim=True).clamp_min(1)


def target_mask() -> Tensor:
    return torch.arange(T) < torch.tensor(LENGTHS)[:, None]


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize(("layer", "head"), [(None, 0), (1, 2), (-2, 1)])
def test_guided_alignment_is_the_cross_entropy_of_one_head(
    layer: int | None, head: int, shift: bool
) -> None:
    weights, given = attention(), links()
    chosen = {None: 0, 1: 1, -2: 0}[layer]  # of two layers, the last but one is the first
    expected = 0.0
    for b in range(B):
        for t in range(T - shift):
            for s in range(S):
                expected -= given[b, t, s].item() * math.log(
                    weights[b, chosen, head, t + shift, s].item()
                )
    found = guided_alignment_loss(weights, given, layer=layer, head=head, shift=shift)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_the_only_layer_is_guided_where_there_is_one() -> None:
    weights, given = attention()[:, :1], links()
    found = guided_alignment_loss(weights, given, layer=None, head=0, shift=False)
    same = guided_alignment_loss(weights, given, layer=0, head=0, shift=False)
    assert found == same


def test_weights_of_zero_where_links_are_give_no_gradient_and_no_infinity() -> None:
    scores = torch.zeros(1, 1, 1, 2, 3, requires_grad=True)
    outside = torch.tensor([False, True, True])  # of a window
    weights = scores.masked_fill(outside, -math.inf).softmax(-1)
    given = torch.tensor([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])
    loss = guided_alignment_loss(weights, given, layer=0, head=0, shift=False)
    loss.backward()
    assert loss.isfinite()
    assert scores.grad is not None
    assert scores.grad.abs().max() == 0  # the second row is already correct


def test_a_head_that_attends_only_to_its_links_costs_their_entropy() -> None:
    given = links()
    weights = torch.where(given.sum(-1, keepdim=True) > 0, given, 0.25)[:, None, None]
    found = guided_alignment_loss(weights, given, layer=0, head=0, shift=False)
    assert found.item() == pytest.approx(torch.special.entr(given).sum().item(), rel=1e-12)


def test_coverage_sums_earlier_attention() -> None:
    weights, real = attention(), target_mask()
    expected = 0.0
    for b in range(B):
        for layer in range(L):
            looks = weights[b, layer].mean(0)
            for t in range(LENGTHS[b]):
                for s in range(S):
                    before = sum(looks[earlier, s].item() for earlier in range(t))
                    expected += min(looks[t, s].item(), before) / L
    assert coverage_loss(weights, real).item() == pytest.approx(expected, rel=1e-12)


def test_coverage_loss_is_zero_for_a_permutation_and_counts_repeated_attention() -> None:
    everything = torch.ones(1, 4, dtype=torch.bool)
    assert coverage_loss(torch.eye(4)[None, None, None], everything) == 0
    staring = torch.tensor([1.0, 0, 0, 0]).expand(1, 1, 1, 4, 4)
    assert coverage_loss(staring, everything) == 3


@pytest.mark.parametrize("shift", [False, True])
def test_gradients_of_guided_alignment(shift: bool) -> None:
    given = links()
    scores = torch.randn(B, L, H, T, S, dtype=torch.float64, requires_grad=True)

    def loss(scores: Tensor) -> Tensor:
        return guided_alignment_loss(scores.softmax(-1), given, layer=1, head=2, shift=shift)

    assert torch.autograd.gradcheck(loss, (scores,))
    (gradient,) = torch.autograd.grad(loss(scores), scores)
    assert gradient[:, 1, 2].abs().max() > 0
    gradient[:, 1, 2] = 0
    assert gradient.abs().max() == 0, "another head was guided"


def test_gradients_of_coverage() -> None:
    real = target_mask()
    scores = torch.randn(B, L, H, T, S, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: coverage_loss(x.softmax(-1), real), (scores,))


def test_half_precision_is_summed_in_float32() -> None:
    weights = attention(torch.float32).bfloat16()
    given = links().float()
    guided = guided_alignment_loss(weights, given, layer=0, head=0, shift=False)
    covered = coverage_loss(weights, target_mask())
    assert guided.dtype == covered.dtype == torch.float32
    exact = guided_alignment_loss(weights.double(), given, layer=0, head=0, shift=False)
    torch.testing.assert_close(guided, exact.float(), rtol=1e-5, atol=0)
    exact = coverage_loss(weights.double(), target_mask())
    torch.testing.assert_close(covered, exact.float(), rtol=1e-5, atol=0)


# ------------------------------------------------------------------- in a model

GUIDED = GuidedAlignmentConfig(weight=0.3, layer=None, head=1, shift=False)
KINDS = {
    "transformer": dict(encoder="transformer", decoder="transformer", num_layers=2),
    "bahdanau": dict(attention="bahdanau"),
    "luong_general": dict(attention="luong_general"),
}


def diagonal(pairs: list[tuple[list[int], list[int]]]) -> Batch:
    """Collate pairs whose pieces of the same index are linked."""
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    pieces = [torch.arange(min(len(s), len(t))) for s, t in pairs]
    return collate(sources, targets, [torch.stack((n, n), 1).int().numpy() for n in pieces])


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_objective_is_the_weighted_sum_and_perplexity_excludes_auxiliary_losses(
    tiny_config: Configs,
    tiny_model: Callable[..., TranslationModel],
    ragged_pairs: list[tuple[list[int], list[int]]],
    kind: str,
) -> None:
    model, batch = tiny_model(tiny_config(**KINDS[kind])), diagonal(ragged_pairs)
    plain = sequence_loss(model, batch, 0.1)
    whole = sequence_loss(model, batch, 0.1, guided=GUIDED, coverage_weight=0.7)
    weights = model(
        batch.source_ids, batch.source_mask, batch.target_input_ids, need_weights=True
    ).weights
    assert batch.alignment is not None
    guided = guided_alignment_loss(weights, batch.alignment, layer=None, head=0, shift=False)
    covered = coverage_loss(weights, batch.target_output_ids != PAD)
    torch.testing.assert_close(whole.smoothed, plain.smoothed + 0.3 * guided + 0.7 * covered)
    torch.testing.assert_close(whole.negative_log_likelihood, plain.negative_log_likelihood)
    assert not plain.extra
    torch.testing.assert_close(
        dict(whole.extra), {"guided_alignment_loss": guided, "coverage_loss": covered}
    )
    assert not any(cost.requires_grad for cost in whole.extra.values())


def test_attention_weights_are_requested_only_if_a_loss_needs_them(ragged_batch: Batch) -> None:
    asked = []

    def spy(*_: Tensor, need_weights: bool, **__: Any) -> Any:
        asked.append(need_weights)
        raise InterruptedError

    off = GuidedAlignmentConfig(weight=0.0, layer=None, head=1, shift=False)
    for settings in ({}, {"guided": off}, {"guided": GUIDED}, {"coverage_weight": 1.0}):
        with pytest.raises(InterruptedError):
            sequence_loss(spy, ragged_batch, 0.1, **settings)  # type: ignore[arg-type]
    assert asked == [False, False, True, True]


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
def test_halves_of_a_batch_add_up_to_its_gradient(
    tiny_config: Configs,
    tiny_model: Callable[..., TranslationModel],
    ragged_pairs: list[tuple[list[int], list[int]]],
    kind: str,
    shift: bool,
) -> None:
    model = tiny_model(tiny_config(**KINDS[kind]))
    guided = GuidedAlignmentConfig(weight=0.3, layer=None, head=1, shift=shift)

    def gradient(batches: list[Batch]) -> list[Tensor]:
        model.zero_grad()
        tokens = sum(batch.num_tokens for batch in batches)
        for batch in batches:
            loss = sequence_loss(model, batch, 0.1, guided=guided, coverage_weight=0.7)
            (loss.smoothed / tokens).backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    whole = gradient([diagonal(ragged_pairs)])
    added = gradient([diagonal(ragged_pairs[:2]), diagonal(ragged_pairs[2:])])
    for found, expected in zip(added, whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shift", [False, True])
def test_a_few_updates_align_only_the_guided_head(
    tiny_config: Configs, make_pairs: Callable[..., Any], shift: bool
) -> None:
    torch.manual_seed(1)
    config = tiny_config("transformer", "transformer", num_layers=2, size=16)
    model = build_model(config, 12, 12)
    batch = diagonal(make_pairs([5] * 16, [5] * 16, 12, 12))
    guided = GuidedAlignmentConfig(weight=1.0, layer=-1, head=2, shift=shift)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss = sequence_loss(model, batch, 0.0, guided=guided)
        (loss.smoothed / batch.num_tokens).backward()
        optimizer.step()
    weights = model(
        batch.source_ids, batch.source_mask, batch.target_input_ids, need_weights=True
    ).weights
    rows = weights[:, :, :, 1:] if shift else weights[:, :, :, :-1]  # of the five linked pieces
    right = rows.diagonal(dim1=-2, dim2=-1)[..., :5].mean(dim=(0, 3))  # [L, H]
    assert right[1, 1] > 0.8
    others = [right[layer, head] for layer in range(2) for head in range(4) if layer * head != 1]
    assert max(others) < 0.7
