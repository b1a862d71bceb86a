"""The loss of a batch: every real piece counts once, and the losses of parts add up."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD


@pytest.fixture
def small(
    tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> TranslationModel:
    return tiny_model(tiny_config())


def test_loss_of_a_batch_counts_every_real_piece_once(
    small: TranslationModel, ragged_batch: Batch
) -> None:
    loss = sequence_loss(small, ragged_batch, 0.0)
    output = small(ragged_batch.source_ids, ragged_batch.source_mask, ragged_batch.target_input_ids)
    log_probs = small.logits(output.hidden).log_softmax(-1)
    expected = -sum(
        log_probs[row, position, piece]
        for row, pieces in enumerate(ragged_batch.target_output_ids.tolist())
        for position, piece in enumerate(pieces)
        if piece != PAD
    )
    torch.testing.assert_close(loss.smoothed, expected)
    torch.testing.assert_close(loss.negative_log_likelihood, expected)
    assert loss.num_tokens == 3 + 1 + 6 + 2 + 4, "4 targets, each with its EOS"


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_of_a_batch_add_up_to_its_gradient(
    small: TranslationModel,
    make_pairs: Callable[..., Any],
    batch_of: Callable[[list[Any]], Batch],
    parts: int,
) -> None:
    pairs = make_pairs((3, 1, 4, 1, 5, 2, 6, 5), (2, 7, 1, 8, 2, 8, 1, 8))
    step = len(pairs) // parts

    def gradient(batches: list[Batch]) -> list[Tensor]:
        small.zero_grad()
        tokens = sum(batch.num_tokens for batch in batches)
        for batch in batches:
            (sequence_loss(small, batch, 0.1).smoothed / tokens).backward()
        return [p.grad.clone() for p in small.parameters() if p.grad is not None]

    whole = gradient([batch_of(pairs)])
    added = gradient([batch_of(pairs[i : i + step]) for i in range(0, len(pairs), step)])
    assert len(whole) == len(list(small.parameters()))
    for found, expected in zip(added, whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
