"""Knowledge distillation: the teacher's distribution at every position, and its attention.

Legend: B batch, L layers with attention, H heads, T target length, S source length.
"""

import torch
from torch import Tensor

from nmt.config.numbering import index_of
from nmt.config.recipe_settings import AttentionMeasure, DistillationConfig
from nmt.data.batches.batch import Batch
from nmt.kernels.precision import at_least_float32, tiny
from nmt.kernels.prediction.prediction_pairs import Predictions
from nmt.model.interfaces import DecoderOutput
from nmt.model.losses.divergence import soft_cross_entropy
from nmt.model.losses.loss import Loss, teacher_forced_output
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import PAD


class Teacher:
    """A trained model that a student model imitates."""

    def __init__(self, model: TranslationModel, config: DistillationConfig) -> None:
        """Use a model on its current device; it is frozen and put in evaluation mode."""
        self.model = model.eval().requires_grad_(False)
        self.config = config

    @property
    def needs_weights(self) -> bool:
        """Whether the loss compares the student's attention with the teacher's."""
        return self.config.attention_weight > 0

    @property
    def target_weight(self) -> float:
        """The weight of the student's cross-entropy with the text, 1 - weight."""
        return 1 - self.config.weight

    @torch.no_grad()
    def forward(self, batch: Batch) -> DecoderOutput:
        """Return the teacher's output for a batch."""
        return teacher_forced_output(self.model, batch, need_weights=self.needs_weights)

    def add_to(
        self,
        loss: Loss,
        student: TranslationModel,
        output: DecoderOutput,
        batch: Batch,
        taught: DecoderOutput,
    ) -> Loss:
        """Return the student's loss plus the distillation losses.

        It is (1 - weight) · cross-entropy with the text + weight · cross-entropy with the teacher
        (Kim & Rush 2016, section 3.1), plus the weighted loss on attention. All other losses have
        only their own weights.

        Args:
            loss: The student's loss, in which the text has the weight `target_weight`.
            student: The model in training.
            output: Its output for the batch.
            batch: The batch.
            taught: The teacher's output for the batch.
        """
        share = self.config.weight
        cost = soft_cross_entropy(
            Predictions(batch.at_targets(output.hidden), student.output.weight),
            Predictions(batch.at_targets(taught.hidden), self.model.output.weight),
            self.config.temperature,
            batch.real_targets(),
        )
        loss = loss.plus("distillation_loss", cost, share)
        if output.weights is None or taught.weights is None or not self.needs_weights:
            return loss
        layer, real = index_of(self.config.attention_layer), batch.target_output_ids != PAD
        cost = attention_distance(
            output.weights[:, layer], taught.weights[:, layer], real, self.config.attention_measure
        )
        return loss.plus("attention_distillation_loss", cost, self.config.attention_weight)


def attention_distance(student: Tensor, teacher: Tensor, real: Tensor, measure: str) -> Tensor:
    """Return the distance of two attention distributions, summed over target tokens.

    The heads of each model are averaged first, because the models may have different numbers of
    heads. ``kl`` is KL(teacher || student) of the distributions over the source. ``mse`` is the sum
    of squared differences over the source positions.

    Args:
        student: [B, H, T, S] of one layer; a dropped layer has rows of zeros, which add nothing.
        teacher: [B, H', T, S].
        real: [B, T] bool, True on real target tokens.
        measure: A value of `AttentionMeasure`.

    Returns:
        The sum over the batch, in float32 or wider; for ``kl`` in nats.
    """
    own, given = (at_least_float32(weights).mean(dim=1) for weights in (student, teacher))
    if measure == AttentionMeasure.MSE:
        cost = (own - given).square()
    else:
        ratio = given.clamp_min(tiny(given)).log() - own.clamp_min(tiny(own)).log()
        cost = (given * ratio).masked_fill(own == 0, 0.0)  # log has no gradient outside a window
    attends = own.detach().sum(dim=-1) > 0
    return (cost.sum(dim=-1) * (real & attends)).sum()
