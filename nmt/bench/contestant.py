"""A training that is measured: blocks of updates, with the time and the token counts of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from nmt import runtime
from nmt.bench.ceiling import synchronise
from nmt.bench.clock import Instant, Span, quiet, wait_for_quiet
from nmt.bench.counts import Counts
from nmt.config.schema import Config
from nmt.data.batch import Batch
from nmt.errors import UserError
from nmt.pipeline import workbench
from nmt.reporting.console import Console
from nmt.training.services import UpdateProfiler

PHASES = ("data", "forward", "backward", "optimizer")
"""Parts of an update; ``optimizer`` is the rest, clipping and logging included."""

WINDOW = 5
"""Updates over which a speed is measured: a single one has batches of one length only."""


@dataclass(frozen=True)
class Step:
    """One update.

    Attributes:
        span: From the request for its data to the end of the update.
        counts: Of its batches.
        phases: Seconds of each part in `PHASES`.
    """

    span: Span
    counts: Counts
    phases: dict[str, float]


@dataclass
class _Stopwatch(UpdateProfiler):
    """Measures the time of an update's parts.

    Work on a GPU is asynchronous. Its parts can be separated only by waiting for the device, which
    takes time itself; ``waits`` turns this on.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    waits: bool = False
    batches: Sequence[Batch] = ()
    marks: list[tuple[str, float]] = field(default_factory=list)

    def begin(self, batches: Sequence[Batch]) -> None:
        """Record that the data of an update are loaded."""
        self.batches = batches
        self.phase("forward")

    def phase(self, name: str) -> None:
        """Record the beginning of a part."""
        if self.waits:
            synchronise(self.device)
        self.marks.append((name, Instant.now().wall))

    def read(self, span: Span) -> dict[str, float]:
        """Return the seconds of each part of the update that just ended, and reset."""
        seconds = dict.fromkeys(PHASES, 0.0)
        marks = [("data", span.start.wall), *self.marks]
        ends = [time for _, time in marks[1:]] + [span.end.wall]
        for (name, start), end in zip(marks, ends, strict=True):
            seconds[name] += end - start
        self.marks = []
        return seconds


class Contestant:
    """Trains a new model of a configuration, as a run would, for a requested number of updates.

    Attributes:
        config: The configuration as given.
        bench: The parts of the run.
        threads: CPU threads; if the settings leave them open, torch's current number.
        patience: Seconds left, in total, to wait for a quiet machine after a disturbed update.
    """

    def __init__(
        self, config: Config, console: Console, planned: int, *, patience: float = 0.0
    ) -> None:
        """Prepare the corpus and build the parts of a run.

        Args:
            config: What `nmt train` would run. Its settings for validating, saving and stopping
                are ignored.
            console: Prints the results of the preparation.
            planned: The largest total number of updates.
            patience: See above.

        Raises:
            UserError: The configuration or the corpus is at fault.
        """
        self.config = config
        self.patience = patience
        self.threads = config.training.threads or torch.get_num_threads()
        self._stopwatch = _Stopwatch()
        self._steps: list[Step] = []
        self._warmup = self._wanted = 0
        self._start: Instant | None = None
        self.bench = workbench(_endless(config, planned), console, self._between, self._stopwatch)
        self._stopwatch.device = self.device

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.bench.trainer.model.output.weight.device

    def apply_settings(self) -> None:
        """Apply the process-wide settings of this configuration."""
        training = self.config.training
        torch.set_num_threads(self.threads)
        runtime.set_cuda_numerics(tf32=training.tf32, deterministic=training.deterministic)

    def train(self, updates: int, *, warmup: int = 0, waits: bool = False) -> list[Step]:
        """Make updates and return those that count.

        On a GPU only whole windows of `WINDOW` updates are timed exactly: the host waits for the
        device at their ends, and otherwise runs ahead of it as in a real training.

        Args:
            updates: How many count, at least one.
            warmup: Updates before them. The first update also starts the data loader.
            waits: Whether to wait for the device after each part, to time the parts separately.

        Raises:
            UserError: Training ended earlier, or memory ran out.
        """
        self.apply_settings()
        self._steps, self._warmup, self._wanted = [], warmup, warmup + updates
        self._start = None
        self._stopwatch.waits = waits
        reason = self.bench.trainer.train()
        if len(self._steps) < self._wanted:
            raise UserError(f"training ended after {len(self._steps)} updates ({reason})")
        return self._steps[warmup:]

    def _between(self) -> bool:
        """Record the end of an update and the start of the next; return whether it was the last."""
        count = len(self._steps) + (self._start is not None)
        at_end = count == self._wanted or (count - self._warmup) % WINDOW == 0
        if at_end or self._stopwatch.waits or self._start is None:
            synchronise(self.device)
        if self._start is not None:
            span = Span(self._start, Instant.now())
            counts = Counts.total(map(Counts.of, self._stopwatch.batches))
            self._steps.append(Step(span, counts, self._stopwatch.read(span)))
            if self.patience > 0 and not all(quiet([span])):
                self.patience -= wait_for_quiet(self.patience)
        self._start = Instant.now()
        return len(self._steps) >= self._wanted


def _endless(config: Config, planned: int) -> Config:
    """Return a configuration whose training neither validates, nor saves, nor ends by itself."""
    training = replace(
        config.training,
        max_updates=planned + 1,
        max_minutes=None,
        validate_every=planned + 1,
        save_every=planned + 1,
        keep_every=None,
        patience=None,
        dry_run=True,  # no run folder is used
    )
    return replace(config, training=training)
