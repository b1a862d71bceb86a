"""What a trainer is handed: validation, checkpoints, logs, and the people who watch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from nmt.data.batch import Batch
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLog
from nmt.reporting.progress_line import ProgressLine
from nmt.training.guard import Keep, Reload


class Report(Protocol):
    """What a validation tells."""

    @property
    def loss(self) -> float:
        """Nats a target piece."""

    @property
    def samples(self) -> Mapping[str, str]:
        """Texts to show, by tag."""

    @property
    def heatmaps(self) -> Mapping[str, Heatmap]:
        """Pictures to show, by tag."""

    def scalars(self) -> dict[str, float]:
        """All numbers by name, ``bleu`` and ``perplexity`` among them."""


class Save(Protocol):
    """Writes a checkpoint, or sees to it that it will be written."""

    def __call__(
        self,
        name: str,
        update: int,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Any] | None,
        scores: Mapping[str, float],
    ) -> None:
        """Take it by its file's name; what it is made of may change as soon as this returns."""


class Watch:
    """Told how every update goes on, by those who measure it; this one looks away."""

    def begin(self, batches: Sequence[Batch]) -> None:
        """Note that an update of these batches begins: they are loaded."""

    def phase(self, name: str) -> None:
        """Note that its ``forward``, ``backward`` or ``optimizer`` part begins."""


@dataclass(frozen=True)
class TrainerServices:
    """What a trainer is handed to act on the world.

    Attributes:
        validate: Scores the model as it is.
        save: Writes a checkpoint.
        log: Takes curves, samples and pictures.
        line: The live progress line.
        say: Tells people a line of news.
        interrupted: Whether someone has asked the run to stop.
        keep: Writes down an update that came to nothing.
        reload: Reads an earlier checkpoint to go back to.
        watch: Told how every update goes on.
    """

    validate: Callable[[], Report]
    save: Save
    log: MetricLog
    line: ProgressLine
    say: Callable[[str], None]
    interrupted: Callable[[], bool]
    keep: Keep = lambda _: None
    reload: Reload = lambda _: None
    watch: Watch = Watch()
