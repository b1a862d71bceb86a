"""The training objective: the loss on the targets, and the recipes that modify it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.config.training_settings import TrainingConfig
from nmt.data.batches.batch import Batch
from nmt.kernels.prediction.prediction_pairs import Predictions
from nmt.model.interfaces import DecoderOutput
from nmt.model.losses.divergence import symmetric_divergence
from nmt.model.losses.loss import (
    Loss,
    needs_attention_weights,
    output_loss,
    teacher_forced_output,
)
from nmt.model.seq2seq import TranslationModel
from nmt.training.distillation import Teacher
from nmt.training.fine_tuning.anchor import Anchor


@dataclass(frozen=True)
class AuxiliaryTargets:
    """Other models from which a run learns, in addition to its text.

    Attributes:
        teacher: A trained model to imitate (distillation); a term of the `Objective`.
        anchor: A penalty for moving away from the initial weights. It does not depend on a batch,
            so `Updater` adds its gradient once per update.
    """

    teacher: Teacher | None = None
    anchor: Anchor | None = None


class Objective:
    """The loss of a batch: label smoothing, guided alignment, coverage, distillation, R-Drop."""

    def __init__(self, training: TrainingConfig, teacher: Teacher | None = None) -> None:
        """Use the weights of the losses in the settings, and a teacher if there is one."""
        self._training = training
        self._teacher = teacher

    def __call__(self, model: TranslationModel, batch: Batch) -> Loss:
        """Return the loss of a batch's target tokens.

        With R-Drop (Liang et al. 2021, section 2.2), each sentence is in the batch twice. Dropout
        removes different units of the two copies, so their predictions P and Q differ. The loss is
        half of eq. 4 in the paper:

            (loss(P) + loss(Q)) / 2 + alpha / 2 · (KL(P || Q) + KL(Q || P)) / 2

        So it is comparable with the loss of a run without R-Drop.
        """
        training, teacher = self._training, self._teacher
        alpha = training.r_drop
        inputs = _doubled(batch) if alpha else batch
        guided, coverage = training.guided_alignment, training.coverage_loss
        needs_weights = needs_attention_weights(guided, coverage)
        needs_weights |= teacher is not None and teacher.needs_weights
        output = teacher_forced_output(model, inputs, need_weights=needs_weights)
        loss = output_loss(
            model,
            output,
            inputs,
            training.label_smoothing,
            guided=guided,
            coverage_weight=coverage,
            target_weight=1.0 if teacher is None else teacher.target_weight,
        )
        if teacher is not None:
            taught = teacher.forward(batch)
            taught = _doubled_output(taught) if alpha else taught
            loss = teacher.add_to(loss, model, output, inputs, taught)
        if not alpha:
            return loss
        first, second = output.hidden.chunk(2)
        divergence = symmetric_divergence(
            Predictions(batch.at_targets(first), model.output.weight),
            Predictions(batch.at_targets(second), model.output.weight),
            batch.real_targets(),
        )
        return _halved(loss).plus("r_drop_loss", divergence, alpha / 2)


def _doubled(batch: Batch) -> Batch:
    """Return a batch with all sentences twice, the copies after the originals."""
    alignment, positions, lengths = batch.alignment, batch.target_positions, batch.source_lengths
    if positions is not None:
        positions = torch.cat([positions, positions + batch.target_output_ids.numel()])
    return replace(
        batch,
        source_ids=batch.source_ids.repeat(2, 1),
        source_mask=batch.source_mask.repeat(2, 1),
        target_input_ids=batch.target_input_ids.repeat(2, 1),
        target_output_ids=batch.target_output_ids.repeat(2, 1),
        num_tokens=2 * batch.num_tokens,
        alignment=None if alignment is None else alignment.repeat(2, 1, 1),
        target_positions=positions,
        source_lengths=None if lengths is None else lengths.repeat(2),
        regions=None if batch.regions is None else batch.regions.map(_twice),
    )


def _twice(tensor: Tensor) -> Tensor:
    return torch.cat([tensor, tensor])


def _doubled_output(output: DecoderOutput) -> DecoderOutput:
    """Return the teacher's output twice: it has no dropout, so both copies have the same output."""
    weights = output.weights
    return DecoderOutput(
        torch.cat([output.hidden] * 2), None if weights is None else torch.cat([weights] * 2)
    )


def _halved(loss: Loss) -> Loss:
    """Return the mean over both copies instead of the sum."""
    return replace(
        loss,
        smoothed=loss.smoothed / 2,
        negative_log_likelihood=loss.negative_log_likelihood / 2,
        num_tokens=loss.num_tokens // 2,
        extra={name: cost / 2 for name, cost in loss.extra.items()},
    )
