"""The progress of a run: its state besides weights and optimizer state."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nmt.config.schema import ScheduleConfig
from nmt.config.training_settings import BatchShapes
from nmt.training.schedule import PlateauScheduleConfig


@dataclass
class TrainingProgress:
    """Counts since the first start of the run; a resumed run continues them.

    Attributes:
        update: Updates made, skipped ones included.
        epoch: Current epoch, from 0.
        position: Updates made in this epoch.
        tokens: Target tokens trained on.
        seconds: Time spent training, validation included.
        validation_seconds: The part of ``seconds`` that validations took.
        best_score: Score of the best validation so far, larger is better; None before the first.
        best_loss: Loss of the best validation, which breaks ties, e.g. while BLEU is 0; None in old
            files.
        best_update: The update of the best validation.
        without_gain: Validations since the best one.
        validated_update: The update of the last validation.
        reductions: How often the plateau schedule has reduced the learning rate.
        skipped_updates: Updates skipped because loss or gradient was not finite.
        skipped_in_row: Updates skipped since the last applied update.
        skipped_pairs: How often a pair was dropped because it does not fit in memory alone.
        rewinds: How often the run has rewound to an earlier checkpoint's weights.
        rate_scale: The product of ``training.rewind_rate`` over all rewinds.
        pass_limit: Greatest number of positions per forward pass; None: memory never ran out.
        batch_tokens: The batch size found where ``training.batch_tokens`` is 0; else None.
        precision: Dtype of matrix products, as in ``training.precision``; empty in old files.
        batch_shapes: Shapes of the batches, as in ``training.batch_shapes``, never ``auto``.
        text: Fingerprint of the training pairs; empty in old files.
    """

    update: int = 0
    epoch: int = 0
    position: int = 0
    tokens: int = 0
    seconds: float = 0.0
    validation_seconds: float = 0.0
    best_score: float | None = None
    best_loss: float | None = None
    best_update: int = 0
    without_gain: int = 0
    reductions: int = 0
    validated_update: int = 0
    skipped_updates: int = 0
    skipped_in_row: int = 0
    skipped_pairs: int = 0
    rewinds: int = 0
    rate_scale: float = 1.0
    pass_limit: int | None = None
    batch_tokens: int | None = None
    precision: str = ""
    batch_shapes: str = BatchShapes.PADDED.value
    text: str = ""

    @property
    def tokens_per_second(self) -> float:
        """Target tokens per second of training, validations excluded."""
        return self.tokens / max(1e-9, self.seconds - self.validation_seconds)

    def to_mapping(self) -> dict[str, Any]:
        """Return the plain values, as a checkpoint stores them."""
        return asdict(self)

    def load(self, mapping: Mapping[str, Any]) -> None:
        """Load saved values; values that an old file lacks get their defaults."""
        vars(self).update(vars(TrainingProgress(**mapping)))

    def validated(self, score: float, loss: float, schedule: ScheduleConfig) -> bool:
        """Record a validation and return whether it is the best so far.

        Args:
            score: The score by ``training.best_metric``; larger is better.
            loss: Mean loss in nats per target token.
            schedule: A plateau schedule reduces the learning rate after validations without gain.
        """
        self.validated_update = self.update
        if self._is_best(score, loss):
            self.best_score, self.best_loss, self.best_update = score, loss, self.update
            self.without_gain = 0
            return True
        self.without_gain += 1
        if (
            isinstance(schedule, PlateauScheduleConfig)
            and self.without_gain % schedule.patience == 0
        ):
            self.reductions += 1
        return False

    def _is_best(self, score: float, loss: float) -> bool:
        if self.best_score is None or score > self.best_score:
            return True
        return score == self.best_score and self.best_loss is not None and loss < self.best_loss
