"""A measured training: its updates, with the time and the token counts of each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from nmt import runtime
from nmt.bench.ceiling import synchronise
from nmt.bench.clock import Instant, Span, quiet, wait_for_quiet
from nmt.bench.counts import Counts
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch
from nmt.errors import UserError
from nmt.pipeline import workbench
from nmt.reporting.console import Console
from nmt.training.services import UpdateProfiler

PHASES = ("data", "forward", "backward", "optimizer")
"""Parts of an update; ``optimizer`` is the rest, with clipping and logging."""

WINDOW = 5
"""Number of updates over which a speed is measured: one update has sentences of one length only."""

BLOCK_ON_GPU = 20
"""Number of updates between two waits for a GPU; the host queues them, as in a real training."""


@dataclass(frozen=True)
class Step:
    """One update; on a GPU a block of updates. The host waits for the device at both ends.

    Attributes:
        span: The time from the request for the first data to the end of the last update.
        counts: Counts of the batches.
        phases: Seconds of each part in `PHASES`, per update.
        updates: Number of updates.
    """

    span: Span
    counts: Counts
    phases: dict[str, float]
    updates: int = 1


@dataclass
class _Stopwatch(UpdateProfiler):
    """Measures the time of the parts of an update, and stores its batches.

    Work on a GPU is asynchronous. Parts can be separated only by waiting for the device, which
    itself takes time. ``waits`` turns these waits on.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    waits: bool = False
    batches: list[Batch] = field(default_factory=list)
    marks: list[tuple[str, float]] = field(default_factory=list)
    updates: int = 0

    def begin(self, batches: Sequence[Batch]) -> None:
        """Record that the batches of an update are loaded."""
        self.updates += 1
        self.batches += batches
        self.phase("forward")

    def phase(self, name: str) -> None:
        """Record the beginning of a part."""
        if self.waits:
            synchronise(self.device)
        self.marks.append((name, time.perf_counter()))

    def end_update(self) -> None:
        """Record that loading for the next update begins, within a block."""
        self.marks.append(("data", time.perf_counter()))

    def read(self, span: Span) -> Step:
        """Return the step that has just ended, and reset."""
        seconds = dict.fromkeys(PHASES, 0.0)
        marks = [("data", span.start.wall), *self.marks]
        ends = [start for _, start in marks[1:]] + [span.end.wall]
        for (name, start), end in zip(marks, ends, strict=True):
            seconds[name] += (end - start) / self.updates
        step = Step(span, Counts.total(map(Counts.of, self.batches)), seconds, self.updates)
        self.batches, self.marks, self.updates = [], [], 0
        return step


class MeasuredRun:
    """Trains a new model of a configuration as a run would, for a requested number of updates.

    Attributes:
        config: The configuration as given.
        bench: The parts of the run.
        preparation: Seconds for the corpus and the model.
        first_update: Seconds of the first update, with the start of the loader and the capture of
            graphs; None before that update.
        threads: CPU threads; without that setting, torch's current number.
        patience: Remaining seconds for waits for a quiet machine after a disturbed update.
    """

    def __init__(
        self, config: Config, console: Console, planned: int, *, patience: float = 0.0
    ) -> None:
        """Prepare the corpus and build the parts of a run.

        Args:
            config: A configuration of `nmt train`. Its settings for validating, saving and stopping
                are ignored.
            console: Prints the results of the preparation.
            planned: The greatest total number of updates.
            patience: Total seconds for waits for a quiet machine.

        Raises:
            UserError: The configuration or the corpus is invalid.
        """
        self.config = config
        self.patience = patience
        self.threads = config.training.threads or torch.get_num_threads()
        self._stopwatch = _Stopwatch()
        self._steps: list[Step] = []
        self._done = self._warmup = self._wanted = 0  # updates
        self._start: Instant | None = None
        self.first_update: float | None = None
        began = time.perf_counter()
        self.bench = workbench(_endless(config, planned), console, self._between, self._stopwatch)
        self._stopwatch.device = self.device
        synchronise(self.device)
        self.preparation = time.perf_counter() - began

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
        """Make updates and return the steps after the warm-up.

        On a GPU a step is a block of `BLOCK_ON_GPU` updates. The host waits for the device at the
        ends of a step only, as in a real training.

        Args:
            updates: Number of measured updates, at least one.
            warmup: Number of updates before them. The first update also starts the data loader.
            waits: Whether to wait for the device after each part, to time the parts separately.

        Raises:
            UserError: Training ended earlier, or memory ran out.
        """
        self.apply_settings()
        self._steps, self._done, self._warmup, self._wanted = [], 0, warmup, warmup + updates
        self._start = None
        self._stopwatch.waits = waits
        reason = self.bench.trainer.train()
        if self._done < self._wanted:
            raise UserError(f"training ended after {self._done} updates ({reason})")
        return self._steps

    def _between(self) -> bool:
        """Record the end of an update and the start of the next; return whether it was the last."""
        if self._start is None:
            synchronise(self.device)
            self._start = Instant.now()
            return False
        self._done += 1
        if self._ends_step():
            synchronise(self.device)
            self._record(Span(self._start, Instant.now()))
            self._start = Instant.now()
        else:
            self._stopwatch.end_update()
        return self._done >= self._wanted

    def _ends_step(self) -> bool:
        """Return whether a step ends with this update."""
        block = 1 if self._stopwatch.waits else updates_per_step(self.device)
        if self.first_update is None or self._done == self._wanted:
            return True
        counted = self._done - self._warmup
        return counted >= 0 and counted % block == 0 or block == 1

    def _record(self, span: Span) -> None:
        step = self._stopwatch.read(span)
        if self.first_update is None:
            self.first_update = span.seconds
        if self._done > self._warmup:
            self._steps.append(step)
        if self.patience > 0 and not all(quiet([span])):
            self.patience -= wait_for_quiet(self.patience)


def updates_per_step(device: torch.device) -> int:
    """Return the number of updates that are timed together."""
    return 1 if device.type == "cpu" else BLOCK_ON_GPU


def _endless(config: Config, planned: int) -> Config:
    """Return a configuration whose training does not validate, save or end within the plan."""
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
