"""Models that read features beside a text or in its place: formulas, equivalences and masks.

Legend: B batch, L layers with attention, H heads, T target length, S source length, R regions.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.config.model import (
    FeaturesConfig,
    ModelConfig,
    RegionEncoderConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    Tying,
)
from nmt.config.schema import DecodingConfig
from nmt.data.batches.batch import Batch, collate
from nmt.data.batches.regions import Regions
from nmt.decoding.search import beam_search
from nmt.errors import UserError
from nmt.model.attention.additive import AdditiveAttention, BahdanauAttentionConfig
from nmt.model.attention.dot import DotAttentionConfig
from nmt.model.attention.doubly import DoublyAttention
from nmt.model.attention.gated import GatedCrossAttention
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.recurrent_multi_head import MultiHeadAttentionConfig
from nmt.model.build import build_model
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel

VOCABULARY, FEATURES, REGIONS = 13, 5, 3
SOURCES, TARGETS = [[4, 5, 6, 7], [8, 9], [10]], [[5, 6], [7, 8, 9, 10], [4]]

RNN = dict(embedding_size=8, hidden_size=8, dropout=0.0)
STACK = dict(
    hidden_size=8, feed_forward_size=16, num_layers=2, num_heads=2, dropout=0.0, word_dropout=0.0
)
DECODERS = {
    "bahdanau": RnnDecoderConfig(**RNN, attention=BahdanauAttentionConfig(size=8)),
    "maxout": RnnDecoderConfig(
        **RNN, attention=BahdanauAttentionConfig(size=8, maxout_size=8, coverage="fertility")
    ),
    "luong": RnnDecoderConfig(**RNN, attention=DotAttentionConfig()),
    "luong_at_once": RnnDecoderConfig(**RNN, attention=DotAttentionConfig(input_feeding=False)),
    "window": RnnDecoderConfig(
        **RNN, attention=BahdanauAttentionConfig(size=8, window="local_p", window_size=2)
    ),
    "heads": RnnDecoderConfig(**RNN, attention=MultiHeadAttentionConfig(num_heads=2)),
    "transformer": TransformerDecoderConfig(**STACK),
    "transformer_linear": TransformerDecoderConfig(**STACK, self_attention="linear"),
    "transformer_adaptive_depth": TransformerDecoderConfig(**STACK, depth="adaptive"),
}


def config(decoder: str, combination: str) -> ModelConfig:
    if combination == "alone":
        features = FeaturesConfig()
        encoder = RegionEncoderConfig(feature_size=FEATURES, hidden_size=8, dropout=0.0)
    else:
        features = FeaturesConfig(combination=combination, size=FEATURES)
        rnn = isinstance(DECODERS[decoder], RnnDecoderConfig)
        encoder = RnnEncoderConfig(**RNN) if rnn else TransformerEncoderConfig(**STACK)
    return ModelConfig(
        encoder=encoder, decoder=DECODERS[decoder], tying=Tying.NONE, features=features
    )


def _kinds() -> Iterator[tuple[str, str]]:
    for decoder in DECODERS:
        for combination in ("gated", "joint", "alone"):
            if decoder != "window" or combination == "gated":
                yield decoder, combination


@pytest.fixture(params=list(_kinds()), ids=lambda kind: "-".join(kind))
def model(request: pytest.FixtureRequest) -> TranslationModel:
    torch.manual_seed(1)
    built = build_model(config(*request.param), VOCABULARY, VOCABULARY).double()
    for parameter in built.parameters():  # gates and biases away from 0
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return built.eval()


def some_regions(rows: int, counts: tuple[int, ...] = (3, 1, 2)) -> Regions:
    values = torch.randn(rows, REGIONS, FEATURES, generator=torch.Generator().manual_seed(2))
    mask = torch.arange(REGIONS) < torch.tensor(counts)[:, None]
    return Regions(values * mask[:, :, None], mask)


@pytest.fixture
def batch() -> Batch:
    return replace(collate(SOURCES, TARGETS), regions=some_regions(3))


def forced(model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        output = model(
            batch.source_ids,
            batch.source_mask,
            batch.target_input_ids,
            need_weights=True,
            regions=batch.regions,
        )
    assert output.weights is not None
    return model.logits(output.hidden), output.weights


def row(batch: Batch, index: int) -> Batch:
    """A pair of the batch alone, without padding of text or regions."""
    assert batch.regions is not None
    alone = batch.regions.map(lambda one: one[index : index + 1])
    count = int(alone.mask.sum())
    regions = alone.map(lambda one: one[:, :count])
    return replace(collate([SOURCES[index]], [TARGETS[index]]), regions=regions)


def test_steps_equal_the_parallel_forward_pass(model: TranslationModel, batch: Batch) -> None:
    expected, expected_weights = forced(model, batch)
    logits, weights = [], []
    with torch.no_grad():
        encoded = model.encode(batch.source_ids, batch.source_mask, None, batch.regions)
        state = model.start(encoded)
        for previous in batch.target_input_ids.unbind(1):
            found, step_weights, state = model.step(previous, state, need_weights=True)
            assert step_weights is not None
            logits.append(found)
            weights.append(step_weights)
    torch.testing.assert_close(torch.stack(logits, 1), expected)
    torch.testing.assert_close(torch.stack(weights, 3), expected_weights)


def test_without_weights_the_logits_are_the_same(model: TranslationModel, batch: Batch) -> None:
    inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
    with torch.no_grad():
        hidden = model(*inputs, regions=batch.regions).hidden
    torch.testing.assert_close(model.logits(hidden), forced(model, batch)[0])


@pytest.mark.parametrize("index", range(3))
def test_a_pair_alone_gives_the_logits_that_it_has_in_a_batch(
    model: TranslationModel, batch: Batch, index: int
) -> None:
    expected = forced(model, batch)[0][index : index + 1, : len(TARGETS[index]) + 1]
    torch.testing.assert_close(forced(model, row(batch, index))[0], expected)


def test_values_of_padded_regions_have_no_effect(model: TranslationModel, batch: Batch) -> None:
    assert batch.regions is not None
    values = batch.regions.values.masked_fill(~batch.regions.mask[:, :, None], 1e3)
    changed = replace(batch, regions=Regions(values, batch.regions.mask))
    for found, expected in zip(forced(model, changed), forced(model, batch), strict=True):
        torch.testing.assert_close(found, expected)


def test_every_real_region_has_an_effect(model: TranslationModel, batch: Batch) -> None:
    assert batch.regions is not None
    before = forced(model, batch)[0]
    for sentence, region in batch.regions.mask.nonzero().tolist():
        values = batch.regions.values.clone()
        values[sentence, region] += torch.arange(FEATURES) ** 2
        after = forced(model, replace(batch, regions=Regions(values, batch.regions.mask)))[0]
        same = (after - before).abs().amax(dim=(1, 2)) < 1e-12
        assert [not one for one in same.tolist()] == [i == sentence for i in range(3)]


def test_weights_over_regions_follow_those_over_the_text(
    model: TranslationModel, batch: Batch
) -> None:
    assert batch.regions is not None
    width = batch.source_mask.size(1) if model.reads_text else 0
    weights = forced(model, batch)[1]
    assert weights.size(-1) == width + REGIONS
    of_regions = weights[..., width:]
    padded = ~batch.regions.mask[:, None, None, None, :].expand_as(of_regions)
    assert (of_regions[padded] == 0).all()
    if width and not model.joint:
        torch.testing.assert_close(of_regions.sum(-1), torch.ones_like(of_regions.sum(-1)))
        assert (weights[..., :width].sum(-1) < 1 + 1e-9).all()
    else:
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights.sum(-1)))


def test_every_parameter_has_a_gradient(model: TranslationModel, batch: Batch) -> None:
    model.train()
    sequence_loss(model, batch, 0.1).smoothed.backward()
    unread = {"encoder.embedding.weight"} if not model.reads_text else set()
    lacking = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert lacking <= unread


def test_search_finds_the_same_translations_alone_and_in_a_batch(
    model: TranslationModel, batch: Batch
) -> None:
    options = DecodingConfig(beam_size=3, max_length_extra=4)
    found = beam_search(
        model,
        batch.source_ids,
        batch.source_mask,
        options,
        need_weights=True,
        regions=batch.regions,
    )
    for index, hypotheses in enumerate(found):
        alone = row(batch, index)
        [expected] = beam_search(
            model,
            alone.source_ids,
            alone.source_mask,
            options,
            need_weights=True,
            regions=alone.regions,
        )
        assert [one.ids for one in hypotheses] == [one.ids for one in expected]
        for one, other in zip(hypotheses, expected, strict=True):
            assert one.region_weights is not None
            assert other.region_weights is not None
            assert one.region_weights.size(-1) == (3, 1, 2)[index]
            torch.testing.assert_close(one.region_weights, other.region_weights)
            torch.testing.assert_close(one.weights, other.weights)
            pieces = len(SOURCES[index]) + 1 if model.reads_text else 0
            assert one.weights is not None
            assert one.weights.size(-1) == pieces


@pytest.mark.parametrize("combination", ["gated", "joint", "alone"])
def test_a_model_without_its_features_is_refused(combination: str, batch: Batch) -> None:
    built = build_model(config("transformer", combination), VOCABULARY, VOCABULARY)
    with pytest.raises(UserError, match="--features FILE"):
        built(batch.source_ids, batch.source_mask, batch.target_input_ids)


def test_features_for_a_model_of_text_are_refused(batch: Batch) -> None:
    of_text = ModelConfig(encoder=RnnEncoderConfig(**RNN), decoder=DECODERS["luong"])
    built = build_model(of_text, VOCABULARY, VOCABULARY)
    with pytest.raises(UserError, match="reads no features"):
        forced(built, batch)


def test_the_doubly_attentive_context_is_that_of_the_paper() -> None:
    torch.manual_seed(3)
    attention = DoublyAttention(AdditiveAttention(4, 6, 5), 4, 7).double()
    query, text = torch.randn(2, 1, 4).double(), torch.randn(2, 3, 6).double()
    regions, mask = torch.randn(2, 2, 7).double(), torch.ones(2, 3, dtype=torch.bool)
    memory = attention.build_double_memory((text, mask), (regions, mask[:, :2]))
    found = attention(query, memory)
    second, gate = attention.regions, attention.gate.score
    for sentence in range(2):
        state = query[sentence, 0]
        scores = torch.stack(
            [
                second.score_vector.weight[0]
                @ torch.tanh(second.query_projection(state) + second.key_projection(region))
                for region in regions[sentence]
            ]
        )
        alpha = scores.exp() / scores.exp().sum()
        beta = 1 / (1 + (-(gate.weight[0] @ state + gate.bias[0])).exp())
        expected = beta * sum(
            a * region for a, region in zip(alpha, regions[sentence], strict=True)
        )
        torch.testing.assert_close(found.context[sentence, 0, 6:], expected)
        torch.testing.assert_close(found.weights[sentence, 0, 3:], alpha)
    of_text = attention.text(query, attention.text.build_memory(text, mask))
    torch.testing.assert_close(found.context[..., :6], of_text.context)


def test_the_gated_cross_attention_is_the_sum_of_two() -> None:
    torch.manual_seed(4)
    text, second = (MultiHeadAttention(8, size, 2, 0.0).double() for size in (6, 7))
    attention = GatedCrossAttention(text, second, 8).double()
    query = torch.randn(2, 3, 8).double()
    states, regions = torch.randn(2, 4, 6).double(), torch.randn(2, 5, 7).double()
    memory = attention.build_double_memory((states, None), (regions, None))
    first, other = (
        one(query, one.build_memory(of, None), need_weights=True)
        for one, of in ((text, states), (second, regions))
    )
    beta = torch.sigmoid(query @ attention.gate.score.weight.T + attention.gate.score.bias)
    for need_weights in (True, False):
        found = attention(query, memory, need_weights=need_weights)
        torch.testing.assert_close(found.context, first.context + beta * other.context)
    weights = attention(query, memory, need_weights=True).weights
    torch.testing.assert_close(weights, torch.cat([first.weights, other.weights], dim=-1))


def test_a_joint_memory_is_the_memory_of_both(batch: Batch) -> None:
    built = build_model(config("transformer", "joint"), VOCABULARY, VOCABULARY).eval()
    encoded = built.encode(batch.source_ids, batch.source_mask, None, batch.regions)
    alone = built.encoder(batch.source_ids, batch.source_mask)
    width = batch.source_ids.size(1)
    torch.testing.assert_close(encoded.states[:, :width], alone.states)
    torch.testing.assert_close(encoded.states[:, width:], built.regions(batch.regions))
    assert encoded.mask.tolist() == torch.cat([alone.mask, batch.regions.mask], 1).tolist()
    torch.testing.assert_close(encoded.summary, alone.summary)
