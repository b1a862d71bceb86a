"""When a training stops."""

from collections.abc import Callable
from enum import StrEnum

from nmt import processes
from nmt.config.training_settings import TrainingConfig
from nmt.training.training_progress import TrainingProgress


class StopReason(StrEnum):
    """Why a training ended; the values appear as ``stopped_by`` in summary.json."""

    MAX_UPDATES = "max_updates"
    MAX_MINUTES = "max_minutes"
    PATIENCE = "patience"
    INTERRUPTED = "interrupted"
    PRUNED = "pruned"
    """The run is a trial of a search and clearly worse than others."""


def stop_reason(
    training: TrainingConfig, progress: TrainingProgress, interrupted: Callable[[], bool]
) -> StopReason | None:
    """Return why all processes have to stop the training now; None: the training continues.

    Args:
        training: The limits of the run.
        progress: The run's progress.
        interrupted: Returns whether this process has been asked to stop.
    """
    if progress.update >= training.max_updates:
        return StopReason.MAX_UPDATES
    if training.max_minutes is not None and processes.any(
        progress.seconds >= 60 * training.max_minutes
    ):
        return StopReason.MAX_MINUTES
    if training.patience is not None and progress.without_gain >= training.patience:
        return StopReason.PATIENCE
    return StopReason.INTERRUPTED if processes.any(interrupted()) else None


def ended_in_warmup(reason: StopReason, update: int, warmup: int) -> str | None:
    """Return a warning if a limit ended a training during its warm-up, else None.

    Args:
        reason: Why the training ended.
        update: The last update.
        warmup: The updates of the warm-up.
    """
    limits = (StopReason.MAX_MINUTES, StopReason.PATIENCE)  # max_updates: checked before training
    if reason not in limits or update >= warmup:
        return None
    return (
        f"warning: training.{reason} ended the run in its warm-up, at update {update:,} of "
        f"schedule.warmup={warmup}: the learning rate did not reach its peak; raise "
        f"training.{reason} or lower schedule.warmup"
    )


def seconds_left(training: TrainingConfig, progress: TrainingProgress) -> float | None:
    """Return the expected remaining seconds; None before the first update has been timed."""
    if not progress.seconds:
        return None
    per_update = progress.seconds / max(1, progress.update)
    left = per_update * (training.max_updates - progress.update)
    if training.max_minutes is not None:
        left = min(left, 60 * training.max_minutes - progress.seconds)
    return max(0.0, left)
