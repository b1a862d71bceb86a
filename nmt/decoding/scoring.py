"""Scores of given translations by teacher forcing. Legend: B batch, T target, S source length."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.data.batch import Batch
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD


@dataclass(frozen=True)
class ForcedScores:
    """What a model makes of given targets.

    Attributes:
        log_probs: [B], natural log of each target's probability, EOS included.
        weights: [B, L, H, T, S] attention where asked for.
    """

    log_probs: Tensor
    weights: Tensor | None


@torch.inference_mode()
def score_batch(
    model: TranslationModel, batch: Batch, *, need_weights: bool = False
) -> ForcedScores:
    """Force a model onto a batch's targets."""
    output = model(
        batch.source_ids, batch.source_mask, batch.target_input_ids, need_weights=need_weights
    )
    log_probs = model.logits(output.hidden).float().log_softmax(dim=-1)
    chosen = log_probs.gather(2, batch.target_output_ids[:, :, None]).squeeze(2)
    real = batch.target_output_ids != PAD
    return ForcedScores(chosen.masked_fill(~real, 0.0).sum(1), output.weights)
