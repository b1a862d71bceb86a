"""Properties of every model: equivalent ways to run it agree, and it respects its masks.

Legend: B batch, L layers with attention, H heads, T target length, S source length, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.config.model import ModelConfig, RnnDecoderConfig, TransformerDecoderConfig
from nmt.data.batches.batch import Batch
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD

Collate = Callable[[list[Any]], Batch]

TOLERANCE = 1e-5


def forced(model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Logits [B, T, V] and weights [B, L, H, T, S] of a parallel forward pass."""
    with torch.no_grad():
        output = model(
            batch.source_ids, batch.source_mask, batch.target_input_ids, need_weights=True
        )
        return model.predictions(output), output.weights


def stepped(model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """The same, step by step."""
    logits, weights = [], []
    with torch.no_grad():
        state = model.start(model.encode(batch.source_ids, batch.source_mask))
        for previous in batch.target_input_ids.unbind(1):
            step_logits, step_weights, state = model.step(previous, state, need_weights=True)
            logits.append(step_logits)
            if step_weights is not None:
                weights.append(step_weights)
    return torch.stack(logits, dim=1), torch.stack(weights, dim=3) if weights else None


def attention_shape(config: ModelConfig) -> tuple[int, int] | None:
    """L and H of a model; None where it has no attention over the source."""
    if isinstance(config.decoder, TransformerDecoderConfig):
        return config.decoder.num_layers, config.decoder.num_heads
    assert isinstance(config.decoder, RnnDecoderConfig)
    attention = config.decoder.attention
    return None if attention.name == "none" else (1, getattr(attention, "num_heads", 1))


def window_of(config: ModelConfig) -> str:
    return getattr(getattr(config.decoder, "attention", None), "window", "global")


def assert_same(found: Tensor | None, expected: Tensor | None, meaning: str) -> None:
    if found is None or expected is None:
        assert found is expected, f"{meaning}: only one of both returns weights"
        return
    torch.testing.assert_close(
        found, expected, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda text: f"{meaning}\n{text}"
    )


def test_steps_equal_the_parallel_forward_pass(
    model: TranslationModel, ragged_batch: Batch
) -> None:
    logits, weights = stepped(model, ragged_batch)
    expected_logits, expected_weights = forced(model, ragged_batch)
    assert_same(logits, expected_logits, "search runs another model than was trained: state?")
    assert_same(weights, expected_weights, "attention of a step is not that of training")


def test_a_pair_gives_the_same_logits_alone_and_in_a_batch(
    model: TranslationModel, ragged_pairs: list[Any], ragged_batch: Batch, batch_of: Collate
) -> None:
    logits, weights = forced(model, ragged_batch)
    for row, (source, target) in enumerate(ragged_pairs):
        alone_logits, alone_weights = forced(model, batch_of([(source, target)]))
        real = len(target) + 1
        assert_same(logits[row, :real], alone_logits[0], f"pair {row} hears its neighbours: mask?")
        if weights is not None and alone_weights is not None:
            seen = weights[row, :, :, :real, : len(source) + 1]
            assert_same(seen, alone_weights[0], f"attention of pair {row} depends on its company")


def test_padding_does_not_change_the_logits(model: TranslationModel, ragged_batch: Batch) -> None:
    source_extra, target_extra = 2, 3  # different, so that no width fits both sides
    longer = Batch(
        functional.pad(ragged_batch.source_ids, (0, source_extra), value=PAD),
        functional.pad(ragged_batch.source_mask, (0, source_extra), value=False),
        functional.pad(ragged_batch.target_input_ids, (0, target_extra), value=PAD),
        functional.pad(ragged_batch.target_output_ids, (0, target_extra), value=PAD),
        ragged_batch.num_tokens,
    )
    logits, weights = forced(model, ragged_batch)
    padded_logits, padded_weights = forced(model, longer)
    length = logits.size(1)
    assert_same(padded_logits[:, :length], logits, "the output depends on the width of the batch")
    if weights is not None and padded_weights is not None:
        kept = padded_weights[:, :, :, :length, : weights.size(-1)]
        assert_same(kept, weights, "attention depends on the width of the batch")
        beyond = padded_weights[..., weights.size(-1) :]
        assert not beyond.any(), "attention on columns that are all padding"
    loss, padded_loss = (sequence_loss(model, b, 0.1).smoothed for b in (ragged_batch, longer))
    assert_same(padded_loss, loss, "padding is in the loss")


def test_attention_weights_are_a_distribution_over_the_real_source(
    model: TranslationModel, model_config: ModelConfig, ragged_batch: Batch
) -> None:
    _, weights = forced(model, ragged_batch)
    expected = attention_shape(model_config)
    assert model.decoder.attends == (expected is not None)
    if expected is None:
        assert weights is None, "a decoder without attention returns weights"
        return
    assert weights is not None
    B, S = ragged_batch.source_ids.shape
    assert weights.shape == (B, *expected, ragged_batch.target_input_ids.size(1), S)
    assert (weights >= 0).all()
    if window_of(config=model_config) == "local_p":  # a Gaussian of at most 1 scales them down
        assert (weights.sum(-1) <= 1 + TOLERANCE).all()
        assert (weights.sum(-1) > 0).all()
    else:
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
    on_padding = weights.masked_select(~ragged_batch.source_mask[:, None, None, None, :])
    assert (on_padding == 0).all(), f"padding is attended to, by up to {on_padding.max():.1e}"


@pytest.mark.parametrize("learning", [False, True], ids=["no_grad", "grad"])
def test_requesting_weights_does_not_change_the_logits(
    model: TranslationModel, ragged_batch: Batch, *, learning: bool
) -> None:
    batch = ragged_batch
    inputs = (batch.source_ids, batch.source_mask, batch.target_input_ids)
    with torch.set_grad_enabled(learning):
        explicit = model(*inputs, need_weights=True)
        silent = model(*inputs, need_weights=False)
    assert silent.weights is None
    assert_same(silent.hidden, explicit.hidden, "the fused path is not the explicit one")


def test_earlier_positions_do_not_depend_on_a_target_piece(
    model: TranslationModel, ragged_batch: Batch
) -> None:
    logits, _ = forced(model, ragged_batch)
    inputs = ragged_batch.target_input_ids
    for position in range(1, inputs.size(1)):
        changed = inputs.clone()
        changed[:, position] = 4 + (changed[:, position] + 1) % 20
        other = Batch(
            ragged_batch.source_ids, ragged_batch.source_mask, changed, changed, num_tokens=1
        )
        found, _ = forced(model, other)
        before, after = found[:, :position], found[:, position:]
        assert_same(before, logits[:, :position], f"input {position} is seen too early: mask?")
        change = (after - logits[:, position:]).abs().amax(dim=2)
        assert (change > TOLERANCE).all(), f"input {position} has no effect from there on"


def test_every_source_piece_reaches_every_output(
    model: TranslationModel, ragged_pairs: list[Any], batch_of: Collate
) -> None:
    source, target = ragged_pairs[0]
    logits, _ = forced(model, batch_of([(source, target)]))
    for position, piece in enumerate(source):
        changed = [*source[:position], 4 + (piece + 1) % 19, *source[position + 1 :]]
        found, _ = forced(model, batch_of([(changed, target)]))
        change = (found - logits).abs().amax(dim=2)
        assert (change > 1e-6).all(), f"the decoder does not depend on source piece {position}"


def test_selected_rows_continue_like_the_original_rows(
    model: TranslationModel, ragged_batch: Batch
) -> None:
    rows = torch.tensor([2, 0, 0, 3, 1, 2])
    expected_logits, expected_weights = stepped(model, ragged_batch)
    for moment in (0, 2):  # before the first step, and after some steps
        with torch.no_grad():
            state = model.start(model.encode(ragged_batch.source_ids, ragged_batch.source_mask))
            for previous in ragged_batch.target_input_ids[:, :moment].unbind(1):
                _, _, state = model.step(previous, state)
            state = state.select(rows)
            for position in range(moment, ragged_batch.target_input_ids.size(1)):
                previous = ragged_batch.target_input_ids[rows, position]
                logits, weights, state = model.step(previous, state, need_weights=True)
                lost = f"select() at step {moment} loses or mixes up part of the state"
                assert_same(logits, expected_logits[rows, position], lost)
                if expected_weights is not None:
                    assert_same(weights, expected_weights[rows][:, :, :, position], lost)


def test_a_state_can_be_continued_twice(model: TranslationModel, ragged_batch: Batch) -> None:
    first, second = ragged_batch.target_input_ids[:, 0], ragged_batch.target_input_ids[:, 1]
    with torch.no_grad():
        state = model.start(model.encode(ragged_batch.source_ids, ragged_batch.source_mask))
        _, _, state = model.step(first, state)
        logits, _, _ = model.step(second, state)
        model.step(first, state)
        again, _, _ = model.step(second, state)
    assert torch.equal(again, logits), "a step modifies the state it was given"


def test_every_parameter_has_a_gradient(model: TranslationModel, ragged_batch: Batch) -> None:
    sequence_loss(model.train(), ragged_batch, 0.1).smoothed.backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert not idle, f"no gradient reaches {idle}"


def test_products_in_bfloat16_train_and_decode(
    model: TranslationModel, ragged_batch: Batch
) -> None:
    exact, _ = forced(model, ragged_batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough, _ = forced(model, ragged_batch)
        rough_steps, _ = stepped(model, ragged_batch)
        loss = sequence_loss(model.train(), ragged_batch, 0.1)
    loss.smoothed.backward()
    # A bfloat16 has 8 significant bits; a few dozen roundings give far smaller errors.
    bound = 0.1 * exact.abs().max()
    for name, found in (("at once", rough), ("by steps", rough_steps)):
        error = (found.float() - exact).abs().max()
        assert error < bound, f"{name}: off by {error:.3f}, more than rounding explains"
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in model.parameters())
