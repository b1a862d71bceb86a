"""How far a run has come: all that the loop must remember besides weights and optimizer."""

from dataclasses import asdict, dataclass
from typing import Any

from nmt.config.schema import ScheduleConfig
from nmt.training.schedule import PlateauScheduleConfig


@dataclass
class TrainingProgress:
    """Counted from the run's first beginning, resumed or not.

    Attributes:
        update: Updates made.
        epoch: The pass over the data under way, from 0.
        position: Updates made within it.
        tokens: Target pieces learned from.
        seconds: Time spent training, validation included.
        validation_seconds: The part of it spent validating.
        best_score: Of the best validation so far, larger is better; None before the first.
        best_loss: Its loss, which decides among equal scores, as when BLEU is 0; None in old files.
        best_update: When that was.
        without_gain: Validations since.
        validated_update: When the last validation was.
        reductions: BatchShapes of the plateau schedule.
        skipped_updates: Updates left undone, for want of a finite loss and gradient.
        skipped_in_row: The last of them, without one done in between.
        skipped_pairs: Times a pair was left out because it does not fit into memory alone.
        rewinds: Times the run went back to an earlier checkpoint's weights.
        rate_scale: What they multiply the learning rate by.
        pass_limit: Places of a forward pass since memory ran out; None: never did.
        batch_tokens: The budget found where ``training.batch_tokens`` is 0; else None.
        precision: Of the products, as ``training.precision`` would name it; empty in old files.
        text: What tells the training pairs from others; empty in old files.
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
    text: str = ""

    @property
    def tokens_per_second(self) -> float:
        """Target pieces learned from in a second, validations left out."""
        return self.tokens / max(1e-9, self.seconds - self.validation_seconds)

    def to_mapping(self) -> dict[str, Any]:
        """Return the plain values."""
        return asdict(self)

    def validated(self, score: float, loss: float, schedule: ScheduleConfig) -> bool:
        """Note a validation's score (larger is better) and loss; return whether it is the best."""
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
