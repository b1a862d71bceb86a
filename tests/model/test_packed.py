"""Packed batches: losses and gradients of padded ones; sentences do not see each other."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.data.batches.packed_batches import pack_pairs
from nmt.data.batches.packed_rows import RowShape
from nmt.data.batches.padding import RaggedRows
from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel

Pairs = list[tuple[list[int], list[int]]]

MODELS: dict[str, dict[str, Any]] = {
    "pre": dict(norm="pre"),
    "post": dict(norm="post", activation="gelu"),
    "learned": dict(positions="learned"),
    "rotary": dict(positions="rotary"),
    "cosine": dict(self_attention="cosine"),
    "multi_query": dict(num_kv_heads=1),
    "grouped_query": dict(num_kv_heads=2),
    "rms-qk_norm-rotary-swiglu": dict(
        norm_type="rms", qk_norm=True, positions="rotary", activation="swiglu"
    ),
}

SHAPES = {
    "no tail": RowShape(source=18, target=16, sentences=4, longest_source=8, longest_target=7),
    "a tail of one dummy": RowShape(21, 18, 6, 8, 7),
    "a tail of three dummies, then empty sentences": RowShape(40, 19, 9, 8, 7),
}


def packed(pairs: Pairs, shape: RowShape) -> Batch:
    sides = ([pair[side] for pair in pairs] for side in (0, 1))
    return Batch.of_arrays(pack_pairs(*map(RaggedRows.of, sides), shape))


def loss_and_gradients(
    model: TranslationModel, batch: Batch, smoothing: float = 0.1
) -> tuple[Tensor, list[Tensor]]:
    loss = sequence_loss(model, batch, smoothing)
    return loss.smoothed, list(torch.autograd.grad(loss.smoothed, list(model.parameters())))


@pytest.fixture(autouse=True)
def _exact_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sum the loss in the dtype of the logits; the fast path sums in float32."""
    monkeypatch.setattr(dispatch, "cross_entropy_path", lambda *_: KernelPath.PLAIN)


@pytest.fixture(params=list(MODELS))
def transformer(
    request: pytest.FixtureRequest,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> TranslationModel:
    """A Transformer of every kind that can be packed, in float64."""
    settings = MODELS[request.param]
    config = tiny_config("transformer", "transformer", num_layers=2, **settings)
    return tiny_model(config).double()


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_packed_batch_has_the_loss_and_the_gradients_of_a_padded_one(
    transformer: TranslationModel, ragged_pairs: Pairs, ragged_batch: Batch, shape: str
) -> None:
    batch = packed(ragged_pairs, SHAPES[shape])
    assert batch.num_tokens == ragged_batch.num_tokens
    loss, gradients = loss_and_gradients(transformer, batch)
    expected, expected_gradients = loss_and_gradients(transformer, ragged_batch)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    names = [name for name, _ in transformer.named_parameters()]
    for name, one, other in zip(names, gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12, msg=name)


def test_recomputed_layers_have_the_same_gradients(
    transformer: TranslationModel, ragged_pairs: Pairs
) -> None:
    batch = packed(ragged_pairs, SHAPES["a tail of one dummy"])
    _, expected = loss_and_gradients(transformer, batch)
    transformer.encoder.recompute = transformer.decoder.recompute = True  # type: ignore[assignment]
    _, gradients = loss_and_gradients(transformer, batch)
    torch.testing.assert_close(gradients, expected, rtol=1e-12, atol=1e-14)


def test_a_sentence_does_not_change_the_output_of_another(
    transformer: TranslationModel, ragged_pairs: Pairs
) -> None:
    def hidden(pairs: Pairs) -> tuple[Tensor, Sequence[int]]:
        batch = packed(pairs, SHAPES["a tail of one dummy"])
        assert batch.packing is not None
        output = transformer(
            batch.source_ids, batch.source_mask, batch.target_input_ids, packing=batch.packing
        )
        return output.hidden[0], batch.packing.target_offsets.tolist()

    (before, offsets) = hidden(ragged_pairs)
    for changed, (source, target) in enumerate(ragged_pairs):
        others = [*ragged_pairs]
        others[changed] = ([piece % 7 + 5 for piece in source], [piece % 5 + 6 for piece in target])
        after, _ = hidden(others)
        for sentence in range(len(ragged_pairs)):
            rows = slice(offsets[sentence], offsets[sentence + 1])
            if sentence == changed:
                assert not torch.allclose(after[rows], before[rows])
            else:
                assert torch.equal(after[rows], before[rows])


def test_a_later_target_piece_does_not_change_an_earlier_output(
    transformer: TranslationModel, ragged_pairs: Pairs
) -> None:
    batch = packed(ragged_pairs, SHAPES["no tail"])
    assert batch.packing is not None
    ids = batch.target_input_ids.clone()
    end = int(batch.packing.target_offsets[1])
    ids[0, end - 1] += 1
    before, after = (
        transformer(batch.source_ids, batch.source_mask, target, packing=batch.packing).hidden[0]
        for target in (batch.target_input_ids, ids)
    )
    assert torch.equal(after[: end - 1], before[: end - 1])
    assert not torch.allclose(after[end - 1], before[end - 1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(encoder="rnn", decoder="transformer"), "RnnEncoder reads no packed rows"),
        (dict(encoder="transformer", decoder="rnn"), "AttendFirstDecoder reads no packed rows"),
        (dict(positions="alibi"), "Alibi has no positions for packed rows"),
        (dict(positions="t5_bias"), "T5Bias has no positions for packed rows"),
        (dict(positions="relative"), "ShawDistances has no positions for packed rows"),
        (dict(word_dropout=0.1), "word dropout has no form for packed rows"),
    ],
)
def test_models_that_cannot_be_packed_refuse(
    settings: dict[str, Any],
    message: str,
    ragged_pairs: Pairs,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> None:
    both = dict(encoder="transformer", decoder="transformer") | settings
    model = tiny_model(tiny_config(**both))
    with pytest.raises(ValueError, match=message):
        sequence_loss(model, packed(ragged_pairs, SHAPES["no tail"]), 0.1)


def test_a_packed_batch_has_no_attention_weights(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_pairs: Pairs,
) -> None:
    model = tiny_model(tiny_config("transformer", "transformer"))
    batch = packed(ragged_pairs, SHAPES["no tail"])
    with pytest.raises(ValueError, match="no attention weights"):
        sequence_loss(model, batch, 0.1, coverage_weight=1.0)


def test_learned_positions_after_the_last_share_its_vector(
    tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> None:
    model = tiny_model(tiny_config("transformer", "transformer", positions="learned"))
    embed = model.decoder.positioned
    ids = torch.full((1, 3), 5)
    found = embed.at(ids, torch.tensor([[1022, 1023, 1500]]), 1600)  # type: ignore[operator]
    assert torch.equal(found[0, 1], found[0, 2])
    assert not torch.equal(found[0, 0], found[0, 1])


def test_sinusoids_of_long_sentences_extend_the_table(
    tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> None:
    embed = tiny_model(tiny_config("transformer", "transformer")).decoder.positioned
    ids = torch.full((1, 600), 5)
    found = embed.at(ids, torch.arange(600)[None], 640)  # type: ignore[operator]
    torch.testing.assert_close(found, embed(ids), rtol=0, atol=0)  # type: ignore[operator]
