"""Faithfulness: each measure equals its definition, and the model is as before afterwards."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.cli.faithfulness import show_faithfulness
from nmt.config.model import ModelConfig
from nmt.data.batches.batch import collate
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention.exhaustive_erasure import MOST_PIECES
from nmt.evaluation.attention.faithfulness import Faithfulness, measure
from nmt.evaluation.attention.faithfulness_report import (
    measure_sentences,
    reading,
    relative,
    summarize,
)
from nmt.evaluation.attention.interventions import (
    changed_cross_attention,
    cross_attentions,
    recorded_self_attention,
)
from nmt.evaluation.attention.rank_correlation import kendall_tau, mean_with_confidence
from nmt.model.build import build_model
from nmt.model.seq2seq import TranslationModel
from nmt.reporting.command_progress import CommandProgress
from nmt.reporting.pages.faithfulness_page import figure_rows

SOURCE, TARGET = [5, 9, 7, 12], [6, 8, 11]


@pytest.fixture(params=["rnn", "transformer"])
def translator(
    request: pytest.FixtureRequest,
    translator_of: Callable[..., Translator],
    tiny_config: Callable[..., ModelConfig],
) -> Translator:
    translator = translator_of(tiny_config(request.param, request.param, num_layers=2))
    torch.manual_seed(1)
    for parameter in translator.model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)  # so that predictions depend on the source
    translator.model.eval()
    return translator


@pytest.fixture
def model(translator: Translator) -> TranslationModel:
    return translator.model


def _log_probs(model: TranslationModel, source: list[int]) -> Tensor:
    """Return the log-probability of each target piece, by one call for one sentence."""
    batch = collate([source], [TARGET])
    output = model(batch.source_ids, batch.source_mask, batch.target_input_ids, need_weights=True)
    log_probs = model.predictions(output).log_softmax(-1)
    return log_probs[0].gather(-1, batch.target_output_ids[0][:, None])[:, 0].detach()


@pytest.fixture
def found(model: TranslationModel) -> Faithfulness:
    return measure(model, SOURCE, TARGET, layer=0, head=None)


def test_erasure_is_the_difference_without_each_piece(
    model: TranslationModel, found: Faithfulness
) -> None:
    whole = _log_probs(model, SOURCE)
    for i in range(len(SOURCE)):
        without = _log_probs(model, SOURCE[:i] + SOURCE[i + 1 :])
        assert found.erasure[:, i] == pytest.approx((whole - without).numpy(), abs=1e-5)


def test_exhaustive_erasure_is_the_mean_over_all_orders_of_removal(
    model: TranslationModel, found: Faithfulness
) -> None:
    """A Shapley value is the mean gain of a piece over all orders in which pieces may be added."""
    gains = np.zeros_like(found.erasure)
    orders = list(permutations(range(len(SOURCE))))
    known = {
        kept: _log_probs(model, [SOURCE[i] for i in kept]).numpy()
        for size in range(len(SOURCE) + 1)
        for kept in combinations(range(len(SOURCE)), size)
    }
    for order in orders:
        for position, i in enumerate(order):
            before, after = sorted(order[:position]), sorted(order[: position + 1])
            gains[:, i] += known[tuple(after)] - known[tuple(before)]
    assert found.exhaustive == pytest.approx(gains / len(orders), abs=1e-5)
    whole, empty = known[tuple(range(len(SOURCE)))], known[()]
    assert found.exhaustive is not None
    assert found.exhaustive.sum(1) == pytest.approx(whole - empty, abs=1e-5)


def test_long_sources_have_no_exhaustive_erasure(model: TranslationModel) -> None:
    source = [5 + i % 7 for i in range(MOST_PIECES)]
    assert measure(model, source, TARGET, layer=0, head=None).exhaustive is not None
    assert measure(model, [*source, 5], TARGET, layer=0, head=None).exhaustive is None


def test_the_gradient_is_the_change_by_a_longer_embedding(
    model: TranslationModel, found: Faithfulness
) -> None:
    """d log p / d factor of an embedding at 1 is gradient · embedding."""
    double, step = model.double(), 1e-5
    for i in range(len(SOURCE)):
        changed = []
        for factor in (1 + step, 1 - step):

            def scale(_module: object, _given: object, output: Tensor) -> Tensor:
                factors = torch.ones_like(output)
                factors[:, i] = factor  # noqa: B023
                return output * factors

            hook = double.encoder.embedding.register_forward_hook(scale)
            changed.append(_log_probs(double, SOURCE))
            hook.remove()
        slope = ((changed[0] - changed[1]) / (2 * step)).abs().numpy()
        assert found.gradient[:, i] == pytest.approx(slope, abs=1e-4, rel=1e-3)


def test_equal_and_permuted_weights_change_what_depends_on_the_weights(
    model: TranslationModel, found: Faithfulness
) -> None:
    assert ((found.permuted >= 0) & (found.permuted <= 1)).all()
    assert found.uniform.max() > 1e-3
    assert found.permuted.max() > 1e-3
    batch = collate([SOURCE], [TARGET])
    inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
    with torch.no_grad():
        before = model.predictions(model(*inputs, need_weights=True)).softmax(-1)
        with changed_cross_attention(model, lambda w: torch.full_like(w, 1 / w.size(-1))):
            even = model.predictions(model(*inputs, need_weights=True)).softmax(-1)
    distance = (before - even).abs().sum(-1)[0] / 2
    assert found.uniform == pytest.approx(distance.numpy(), abs=1e-5)


def test_a_model_whose_weights_are_equal_does_not_change(model: TranslationModel) -> None:
    for attention in cross_attentions(model):
        for name, parameter in attention.named_parameters():
            if "query" in name or "score" in name or name == "vector":
                torch.nn.init.zeros_(parameter)
    found = measure(model, SOURCE, TARGET, layer=0, head=None)
    if np.ptp(found.attention, axis=1).max() > 1e-6:
        pytest.fail("the weights of this attention are not equal: choose its parameters")
    assert found.uniform.max() < 1e-5
    assert found.permuted.max() < 1e-5


def test_the_model_is_as_before(model: TranslationModel) -> None:
    before = _log_probs(model, SOURCE)
    first = measure(model, SOURCE, TARGET, layer=-1, head=0)
    again = measure(model, SOURCE, TARGET, layer=-1, head=0)
    assert torch.equal(_log_probs(model, SOURCE), before)
    assert not model.encoder.embedding._forward_hooks
    for name, values in vars(first).items():
        other = getattr(again, name)
        assert (values is None and other is None) or np.array_equal(values, other), name


def test_an_error_restores_the_attention(model: TranslationModel) -> None:
    before = [attention.dropout for attention in cross_attentions(model)]

    def fail(weights: Tensor) -> Tensor:
        raise ArithmeticError

    with pytest.raises(ArithmeticError), changed_cross_attention(model, fail):
        _log_probs(model, SOURCE)
    assert [attention.dropout for attention in cross_attentions(model)] == before


def test_rollout_follows_the_weights_through_the_encoder(
    translator_of: Callable[..., Translator], tiny_config: Callable[..., ModelConfig]
) -> None:
    model = translator_of(tiny_config("transformer", "transformer", num_layers=2)).model.eval()
    found = measure(model, SOURCE, TARGET, layer=0, head=None)
    with recorded_self_attention(model) as layers:
        batch = collate([SOURCE], [TARGET])
        model.encode(batch.source_ids, batch.source_mask)
    assert len(layers) == 2
    low, high = ((layer[0].mean(0).detach() + torch.eye(5)) / 2 for layer in layers)
    batch = collate([SOURCE], [TARGET])
    inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
    weights = model(*inputs, need_weights=True).weights[0, 0].mean(0).detach()
    expected = (weights @ high @ low)[:, :-1].numpy()
    assert found.rollout == pytest.approx(expected, abs=1e-5)
    assert found.rollout is not None
    assert (found.rollout.sum(1) <= 1 + 1e-5).all()


def test_an_rnn_has_no_rollout(
    translator_of: Callable[..., Translator], tiny_config: Callable[..., ModelConfig]
) -> None:
    model = translator_of(tiny_config("rnn", "rnn")).model.eval()
    assert measure(model, SOURCE, TARGET, layer=0, head=None).rollout is None


def test_tau_counts_pairs() -> None:
    random = np.random.default_rng(1)
    for size in (2, 3, 7, 12):
        first = random.integers(0, 5, size).astype(float)
        second = random.integers(0, 5, size).astype(float)
        pairs = list(combinations(range(size), 2))
        agree = sum(np.sign((first[i] - first[j]) * (second[i] - second[j])) for i, j in pairs)
        untied = [sum(one[i] != one[j] for i, j in pairs) for one in (first, second)]
        expected = agree / math.sqrt(untied[0] * untied[1]) if all(untied) else math.nan
        assert kendall_tau(first, second) == pytest.approx(expected, nan_ok=True)
    order = np.array([3.0, 1.0, 2.0])
    assert kendall_tau(order, order) == 1
    assert kendall_tau(order, -order) == -1
    assert math.isnan(kendall_tau(order, np.ones(3)))


def test_confidence_contains_the_mean_and_narrows() -> None:
    random = np.random.default_rng(1)
    few, many = (mean_with_confidence(list(random.normal(size=n))) for n in (20, 2000))
    for mean in (few, many):
        assert mean.low <= mean.value <= mean.high
    assert many.high - many.low < (few.high - few.low) / 4  # sqrt(100) = 10 times in the mean
    assert mean_with_confidence([1.0, math.nan, 3.0]).value == 2
    one = mean_with_confidence([math.nan, 2.0])  # resamples of one value are all equal
    assert one.value == 2
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_shares_are_of_the_largest_of_each_row() -> None:
    values = np.array([[1.0, -2.0, 4.0], [-1.0, -3.0, 0.0]])
    assert np.array_equal(relative(values), [[0.25, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize(
    ("attention", "erasure", "share"),
    [
        ([[3.0, 1, 1]], [[2.0, 0, 1]], 1),
        ([[3.0, 1, 1]], [[0.0, 2, 1]], 0),
        ([[1.0, 1, 1]], [[0.0, 0, 0]], 1 / 3),  # no order at all: chance
        ([[1.0, 1, 1]], [[5.0, 0, 0]], 1 / 3),
        ([[2.0, 2, 0]], [[5.0, 5, 0]], 1 / 2),
        ([[2.0, 2, 0]], [[0.0, 5, 5]], 1 / 4),
    ],
)
def test_a_tie_for_the_first_piece_counts_by_chance(
    translator: Translator, attention: list[Any], erasure: list[Any], share: float
) -> None:
    (one,) = measure_sentences(translator, [("two seven ten one", "zwei")], layer=0, head=None)
    found = replace(one.found, attention=np.array(attention), erasure=np.array(erasure))
    for first, second in (("erasure", "attention"), ("attention", "erasure")):
        assert replace(one, found=found).share_of_same_best(first, second) == pytest.approx(share)


def test_one_sentence_has_no_confidence_interval(translator: Translator) -> None:
    pairs = [("two seven ten one", "zwei"), ("one two three four", "eins")]
    both = measure_sentences(translator, pairs, layer=0, head=None)
    for sentences in (both[:1], both):
        report = summarize(sentences, layer=0, head=None, left_out=0)
        intervals = {confidence for *_, confidence in figure_rows(report.plain())}
        text = " ".join(reading(report))
        assert (intervals == {""}) == (len(sentences) == 1)
        assert all("nan" not in interval for interval in intervals)
        assert ("figures of one sentence" in text) == (len(sentences) == 1)
        assert ("95 % confidence interval, from" in text) == (len(sentences) == 2)


def test_equal_weights_have_no_order_to_agree_with(translator: Translator) -> None:
    (one,) = measure_sentences(translator, [("two seven ten one", "zwei")], layer=0, head=None)
    equal = replace(one.found, attention=np.full_like(one.found.attention, 0.25))
    report = summarize([replace(one, found=equal)], layer=0, head=None, left_out=0)
    assert math.isnan(report.agreement["erasure"].value)
    (sentence, *_) = reading(report)
    assert "cannot be compared with the order of erasure" in sentence
    assert not any("nan" in line for line in reading(report))


def test_short_sentences_are_left_out(translator: Translator) -> None:
    pairs = [("two seven ten one", "zwei"), ("", "eins")]
    measured = measure_sentences(translator, pairs, layer=0, head=None)
    assert [one.source_text for one in measured] == ["two seven ten one"]
    report = summarize(measured, layer=0, head=None, left_out=1)
    assert (report.sentences, report.layer) == (1, 1)
    assert report.pieces == len(measured[0].target)
    assert report.short == (len(measured[0].source) <= MOST_PIECES)
    with pytest.raises(UserError, match="every sentence has fewer than 3 pieces"):
        summarize([], layer=0, head=None, left_out=2)


def test_a_rollout_does_not_follow_tokens_that_halt(
    tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> None:
    settings = dict(num_layers=3, depth="adaptive")
    model = tiny_model(tiny_config("transformer", "transformer", **settings))
    assert measure(model, SOURCE, TARGET, layer=0, head=None).rollout is None


def test_a_rollout_does_not_follow_weights_that_are_no_distribution(
    tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> None:
    """Those of low-rank attention may be negative and sum to any number."""
    settings = dict(self_attention="low_rank", attention_rank=3)
    config = tiny_config("transformer", "transformer", **settings)
    config.decoder.self_attention = "full"
    model = tiny_model(config)
    assert measure(model, SOURCE, TARGET, layer=0, head=None).rollout is None


@pytest.mark.parametrize("side", ["context", "decoder_context"])
def test_hierarchical_attention_is_refused(
    side: str,
    translator_of: Callable[..., Translator],
    tiny_config: Callable[..., ModelConfig],
) -> None:
    translator = translator_of(tiny_config("transformer", "transformer"))
    settings = {side: "hierarchical"}
    translator.model = build_model(tiny_config("transformer", "transformer", **settings), 9, 9)
    named = f"model.{'encoder' if side == 'context' else 'decoder'}.context=hierarchical"
    rule = AlignmentExtractor(0, None, shift=False)
    with pytest.raises(UserError, match=named), CommandProgress() as progress:
        show_faithfulness(translator, rule, [("a", "b")], [], progress)


def test_a_figure_of_one_short_sentence_has_no_confidence_interval(translator: Translator) -> None:
    """Exhaustive erasure measures only short sentences, of which a corpus may have one."""
    pairs = [("two one", "zwei"), ("one two three four", "eins")]
    sentences = measure_sentences(translator, pairs, layer=0, head=None)
    report = summarize(sentences, layer=0, head=None, left_out=0)
    assert report.short == 1
    for what, _, interval in figure_rows(report.plain()):
        assert (interval == "") == ("exhaustive" in what or "both erasures" in what)
