"""Divergence: counts skipped updates, keeps them for inspection, and stops or rewinds the run.

An update is skipped if its loss or its gradient is not finite. A run with too many skipped updates
in a row has diverged. It stops, or it rewinds: it restores the weights of an earlier checkpoint and
continues with the next data (Chowdhery et al. 2022, section 5.1).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nmt.config.schema import Config
from nmt.config.training_settings import OnDivergence, Precision
from nmt.data.batches.batch import Batch
from nmt.errors import UserError
from nmt.training.training_progress import TrainingProgress

MAX_REWINDS = 3


@dataclass(frozen=True)
class BadUpdate:
    """An update whose loss or gradient was not finite.

    Attributes:
        update: Number of the update, from 1.
        epoch: Epoch of its data, from 0.
        loss: Mean loss in nats per target token.
        gradient_norm: Norm of the gradient before clipping.
        learning_rate: The rate that the update would have had.
        batches: The batches of this process, on the CPU.
    """

    update: int
    epoch: int
    loss: float
    gradient_norm: float
    learning_rate: float
    batches: Sequence[Batch]


@dataclass(frozen=True)
class EarlierCheckpoint:
    """A checkpoint that a run rewinds to.

    Attributes:
        name: The name of the file.
        weights: Full weights by name.
        state: The training state.
    """

    name: str
    weights: Mapping[str, Tensor]
    state: Mapping[str, Any]


KeepBadUpdate = Callable[[BadUpdate], Path | None]
"""Writes an update to a file for inspection and returns its path; None if it was not written."""

ReloadCheckpoint = Callable[[int], EarlierCheckpoint | None]
"""Reads the n-th newest checkpoint, from 0, or the oldest if there are fewer; None: none exists."""


class DivergenceGuard:
    """Counts skipped updates and decides when a run has diverged."""

    def __init__(self, config: Config, keep: KeepBadUpdate, reload: ReloadCheckpoint) -> None:
        """Guard a run; see `KeepBadUpdate` and `ReloadCheckpoint` for the two callables."""
        self._config, self._keep, self._reload = config, keep, reload
        self._kept: Path | None = None
        self._rewinds_since_save = 0

    def accept(self, progress: TrainingProgress) -> None:
        """Record an update that was applied."""
        progress.skipped_in_row = 0

    def saved(self) -> None:
        """Record that a new checkpoint was written, to which the run can rewind."""
        self._rewinds_since_save = 0

    def skip(self, progress: TrainingProgress, bad: BadUpdate) -> str | None:
        """Count a skipped update and keep it for inspection.

        Args:
            progress: The run's progress, whose counts of skipped updates grow.
            bad: The update.

        Returns:
            A description of the divergence, if there are too many in a row; else None.
        """
        kept = self._keep(bad)
        if not progress.skipped_in_row or self._kept is None:
            self._kept = kept
        progress.skipped_updates += 1
        progress.skipped_in_row += 1
        if progress.skipped_in_row <= self._config.training.max_skipped:
            return None
        previous = progress.skipped_in_row - 1
        others = f", nor were those of the {previous} before it" if previous else ""
        return (
            f"the gradient of update {bad.update} is not finite (loss {bad.loss:g}, norm "
            f"{bad.gradient_norm:g}){others}{self._file(previous)}"
        )

    def _file(self, previous: int) -> str:
        if self._kept is None:
            return ""
        return f"; one of their batches is in {self._kept}" if previous else f"; see {self._kept}"

    def rewind(self, progress: TrainingProgress, fault: str) -> EarlierCheckpoint:
        """Return the checkpoint that a diverged run rewinds to, and lower its learning rate.

        Args:
            progress: The run's progress, whose ``rate_scale`` is lowered.
            fault: A description of the divergence.

        Raises:
            UserError: The settings ask to stop, the run has rewound `MAX_REWINDS` times, or it has
                no checkpoint.
        """
        training = self._config.training
        rewinds = training.on_divergence == OnDivergence.REWIND and progress.rewinds < MAX_REWINDS
        earlier = self._reload(self._rewinds_since_save) if rewinds else None
        if earlier is None:
            raise UserError(f"{fault}; {self._remedies(progress)}")
        self._rewinds_since_save += 1
        progress.rewinds += 1
        progress.rate_scale *= training.rewind_rate
        progress.skipped_in_row = 0
        return earlier

    def _remedies(self, progress: TrainingProgress) -> str:
        config, training = self._config, self._config.training
        remedies = [f"lower optimizer.learning_rate (now {config.optimizer.learning_rate:g})"]
        if progress.update <= 2 * max(config.schedule.warmup, 500):
            remedies.append(f"raise schedule.warmup (now {config.schedule.warmup})")
        if training.clip_norm is None:
            remedies.append("set training.clip_norm")
        if training.precision != Precision.FLOAT32:
            remedies.append("choose training.precision=float32")
        if training.on_divergence == OnDivergence.STOP:
            remedies.append("choose training.on_divergence=rewind")
        if progress.skipped_in_row:
            remedies.append("inspect the batch")
        rewound = f"the run has rewound {progress.rewinds} times; " if progress.rewinds else ""
        choice = " or ".join(filter(None, (", ".join(remedies[:-1]), remedies[-1])))
        return f"{rewound}the last checkpoint is intact: {choice}"


def is_finite(loss: float, gradient_norm: float) -> bool:
    """Return whether an update can be applied."""
    return math.isfinite(loss) and math.isfinite(gradient_norm)
