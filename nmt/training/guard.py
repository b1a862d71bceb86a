"""Numbers that go wrong: an update without a finite loss and gradient is left undone, and kept.

A run that meets too many in a row has diverged. It stops, or goes back to the weights of an earlier
checkpoint and on from there with the data that come next (Chowdhery et al. 2022, section 5.1).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nmt.config.schema import Config
from nmt.data.batch import Batch
from nmt.errors import UserError
from nmt.training.training_progress import TrainingProgress

MAX_REWINDS = 3


@dataclass(frozen=True)
class BadUpdate:
    """What an update was made of that came to nothing.

    Attributes:
        update: Its number.
        epoch: From 0.
        loss: Nats a target piece.
        norm: Of the gradient.
        rate: The learning rate it would have had.
        batches: Its pairs, on the CPU.
    """

    update: int
    epoch: int
    loss: float
    norm: float
    rate: float
    batches: Sequence[Batch]


@dataclass(frozen=True)
class Earlier:
    """What a checkpoint holds of a run that goes back to it."""

    name: str
    weights: Mapping[str, Tensor]
    state: Mapping[str, Any]


Keep = Callable[[BadUpdate], Path | None]
"""Writes an update down for people to look at, and returns where; None where it was not."""

Reload = Callable[[int], Earlier | None]
"""Reads the n-th newest checkpoint, from 0, or the oldest that there is; None: there is none."""


class Guard:
    """Counts the updates that went wrong, and says when it is enough."""

    def __init__(self, config: Config, keep: Keep, reload: Reload) -> None:
        """Guard a run; see `Keep` and `Reload` for what it is handed."""
        self._config, self._keep, self._reload = config, keep, reload
        self._kept: Path | None = None
        self._tries = 0  # at checkpoints, since one was written

    def accept(self, progress: TrainingProgress) -> None:
        """Note an update that went well."""
        progress.skipped_in_row = 0

    def saved(self) -> None:
        """Note that there is a new checkpoint to go back to."""
        self._tries = 0

    def skip(self, progress: TrainingProgress, bad: BadUpdate) -> str | None:
        """Count and keep an update that is left undone; return what to say if it is one too many.

        Args:
            progress: Of the run; its counts are moved.
            bad: The update.
        """
        kept = self._keep(bad)
        if not progress.skipped_in_row or self._kept is None:
            self._kept = kept
        progress.skipped_updates += 1
        progress.skipped_in_row += 1
        if progress.skipped_in_row <= self._config.training.max_skipped:
            return None
        before = progress.skipped_in_row - 1
        where = f"; a batch of theirs is in {self._kept}" if before else f"; see {self._kept}"
        return (
            f"the gradient of update {bad.update} is not finite (loss {bad.loss:g}, norm "
            f"{bad.norm:g}){f', nor were those of the {before} before it' if before else ''}"
            f"{where if self._kept is not None else ''}"
        )

    def rewound(self, progress: TrainingProgress, fault: str, rate: float) -> Earlier:
        """Return what a run that has diverged goes back to, with its rate lowered.

        Args:
            progress: Of the run; its rate is lowered.
            fault: What went wrong, in words.
            rate: The learning rate now.

        Raises:
            UserError: The run shall stop, has gone back often enough, or has nowhere to go back to.
        """
        training = self._config.training
        rewinds = training.on_divergence == "rewind" and progress.rewinds < MAX_REWINDS
        earlier = self._reload(self._tries) if rewinds else None
        if earlier is None:
            raise UserError(f"{fault}; {self._remedies(progress, rate)}")
        self._tries += 1
        progress.rewinds += 1
        progress.rate_scale *= training.rewind_rate
        progress.skipped_in_row = 0
        return earlier

    def _remedies(self, progress: TrainingProgress, rate: float) -> str:
        config = self._config
        training, ways = config.training, [f"lower optimizer.learning_rate={rate:g}"]
        if progress.update <= 2 * max(config.schedule.warmup, 500):
            ways.append(f"raise schedule.warmup={config.schedule.warmup}")
        if training.clip_norm is None:
            ways.append("set training.clip_norm")
        if training.precision != "float32":
            ways.append("choose training.precision=float32")
        if training.on_divergence == "stop":
            ways.append("choose training.on_divergence=rewind")
        if progress.skipped_in_row:
            ways.append("look at the batch")
        again = f"gone back {progress.rewinds} times; " if progress.rewinds else ""
        choice = " or ".join(filter(None, (", ".join(ways[:-1]), ways[-1])))
        return f"{again}the last checkpoint is intact: {choice}"


def is_finite(loss: float, norm: float) -> bool:
    """Tell whether an update can be made."""
    return math.isfinite(loss) and math.isfinite(norm)
