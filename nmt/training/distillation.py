"""Learning from a teacher: its words at every place, and where it looks.

Legend: B batch, L layers that attend, H heads, T target length, S source length.
"""

from dataclasses import replace

import torch
from torch import Tensor

from nmt.config.training_settings import DistillationConfig
from nmt.data.batch import Batch
from nmt.model.divergence import Words, soft_cross_entropy
from nmt.model.interfaces import DecoderOutput
from nmt.model.loss import Loss
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD


class Teacher:
    """A finished model that a student is trained to be like."""

    def __init__(self, model: TranslationModel, config: DistillationConfig) -> None:
        """Teach with a model, where it is; it is frozen and put in evaluation mode."""
        self.model = model.eval().requires_grad_(False)
        self.config = config

    @property
    def needs_weights(self) -> bool:
        """Whether the student's attention is compared."""
        return self.config.attention_weight > 0

    @torch.no_grad()
    def read(self, batch: Batch) -> DecoderOutput:
        """Return what the teacher makes of a batch."""
        output: DecoderOutput = self.model(
            batch.source_ids,
            batch.source_mask,
            batch.target_input_ids,
            need_weights=self.needs_weights,
        )
        return output

    def add_to(
        self,
        loss: Loss,
        student: TranslationModel,
        said: DecoderOutput,
        batch: Batch,
        given: DecoderOutput,
    ) -> Loss:
        """Return the student's loss with the teacher's part in it.

        (1 - weight) · loss + weight · cross-entropy to the teacher (Kim & Rush 2016, section 3.1),
        and the weighted loss on attention.

        Args:
            loss: The student's own.
            student: The model under training.
            said: What it made of the batch.
            batch: The batch.
            given: What the teacher made of it.
        """
        real, share = batch.target_output_ids != PAD, self.config.weight
        cost = soft_cross_entropy(
            Words(said.hidden[real], student.output.weight),
            Words(given.hidden[real], self.model.output.weight),
            self.config.temperature,
        )
        loss = replace(loss, smoothed=(1 - share) * loss.smoothed)
        loss = loss.plus("distillation_loss", cost, share)
        if said.weights is None or given.weights is None or not self.needs_weights:
            return loss
        layer = self.config.attention_layer
        cost = attention_distance(
            said.weights[:, layer], given.weights[:, layer], real, self.config.attention_measure
        )
        return loss.plus("attention_distillation_loss", cost, self.config.attention_weight)


def attention_distance(student: Tensor, teacher: Tensor, real: Tensor, measure: str) -> Tensor:
    """Return how far a student looks from where its teacher looks, summed over target pieces.

    The heads of each are averaged first, so that their numbers may differ. ``kl``: the divergence
    of the student's distribution over the source from the teacher's, KL(teacher || student);
    ``mse``: the sum of squared differences.

    Args:
        student: [B, H, T, S] of one layer; rows of zeros, of a layer left out, cost nothing.
        teacher: [B, H', T, S].
        real: [B, T] bool, True on real pieces.
        measure: kl | mse.

    Returns:
        The sum over the batch, in float32 at least; of ``kl`` in nats.
    """
    mine, given = (_mean_of_heads(weights) for weights in (student, teacher))
    if measure == "mse":
        cost = (mine - given).square()
    else:
        tiny = torch.finfo(mine.dtype).tiny
        ratio = given.clamp_min(tiny).log() - mine.clamp_min(tiny).log()
        cost = (given * ratio).masked_fill(mine == 0, 0.0)  # a window's edge has no gradient
    looks = mine.detach().sum(dim=-1) > 0
    return (cost.sum(dim=-1) * (real & looks)).sum()


def _mean_of_heads(weights: Tensor) -> Tensor:
    return weights.to(torch.promote_types(weights.dtype, torch.float32)).mean(dim=1)
