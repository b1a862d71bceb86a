"""The functions by which a trainer validates, saves, logs and prints."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from nmt.data.batches.batch import Batch
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLog
from nmt.reporting.progress_line import ProgressLine
from nmt.training.guard import KeepBadUpdate, ReloadCheckpoint

Report = Callable[[str], None]
"""Prints one line, such as a warning, on the console and in the run's log."""

Hopeless = Callable[[int, float], bool]
"""Returns whether the training has to stop, given an update and its validation score."""

Interrupted = Callable[[], bool]
"""Returns whether the run has been asked to stop; called after each update."""


class ValidationScores(Protocol):
    """The result of a validation."""

    @property
    def loss(self) -> float:
        """Nats per target token."""

    @property
    def samples(self) -> Mapping[str, str]:
        """Texts to log, by tag."""

    @property
    def heatmaps(self) -> Mapping[str, Heatmap]:
        """Attention heatmaps to log, by tag."""

    def scalars(self) -> dict[str, float]:
        """Return all scores by name, among them ``bleu`` and ``perplexity``."""


class Validate(Protocol):
    """Scores the model in its current state on the validation text."""

    def __call__(self) -> ValidationScores:
        """Return the scores."""


class Save(Protocol):
    """Writes a checkpoint, now or in the background."""

    def __call__(
        self,
        name: str,
        update: int,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Any] | None,
        scores: Mapping[str, float],
    ) -> None:
        """Accept a checkpoint; its tensors may change as soon as this returns.

        Args:
            name: File name, such as ``last.pt``.
            update: Number of updates after which the model has these weights.
            weights: Full weights by name.
            training: The state from which training resumes; None for a model alone.
            scores: Validation scores of these weights; empty if they were not validated.
        """


class UpdateProfiler:
    """Profiling hooks for one update. The default does nothing."""

    def begin(self, batches: Sequence[Batch]) -> None:
        """Called when the batches of an update are loaded."""

    def phase(self, name: str) -> None:
        """Called when the ``forward``, ``backward`` or ``optimizer`` part begins."""


def _refuse_to_validate() -> ValidationScores:
    """Fail: a trainer without a run does not validate."""
    raise AssertionError("a trainer without a run does not validate")


def _continue(_: int, __: float) -> bool:
    """Continue, whatever the score."""
    return False


def _save_nothing(*_: Any, **__: Any) -> None:
    """Write no checkpoint: only the first process of a run does."""


def _keep_nothing(_: object) -> None:
    """Keep no record of a skipped update."""


def _no_checkpoint(_: int) -> None:
    """Return None: there is no checkpoint to return to."""


@dataclass(frozen=True, kw_only=True)
class TrainerServices:
    """The functions and logs that a trainer uses.

    Attributes:
        validate: Scores the model in its current state.
        hopeless: Returns whether the training has to stop, because it is a trial of a search and
            clearly worse than others. Its arguments are an update and its validation score; larger
            is better.
        save: Writes a checkpoint.
        metric_log: Records metrics, samples and heatmaps.
        progress_line: The live progress line.
        report: Prints one line.
        interrupted: Returns whether the run has been asked to stop.
        keep_bad_update: Writes a skipped update to a file for inspection.
        reload_checkpoint: Reads an earlier checkpoint to rewind to.
        profiler: Hooks around the parts of an update.
    """

    metric_log: MetricLog
    progress_line: ProgressLine
    report: Report
    interrupted: Interrupted
    validate: Validate = _refuse_to_validate
    hopeless: Hopeless = _continue
    save: Save = _save_nothing
    keep_bad_update: KeepBadUpdate = _keep_nothing
    reload_checkpoint: ReloadCheckpoint = _no_checkpoint
    profiler: UpdateProfiler = UpdateProfiler()
