"""A training that is watched: blocks of updates, each update with its time and its pieces."""

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
from nmt.training.services import Watch

PHASES = ("data", "forward", "backward", "optimizer")
"""Of an update: ``optimizer`` is all that is left, clipping and curves among it."""


@dataclass(frozen=True)
class Step:
    """One update.

    Attributes:
        span: From its data being asked for to the next update.
        counts: Of its batches.
        phases: Seconds of each of `PHASES`.
    """

    span: Span
    counts: Counts
    phases: dict[str, float]


@dataclass
class _Stopwatch(Watch):
    """Takes the time of an update's parts.

    On a device that works behind the program's back, the parts are only told apart by waiting for
    it, which costs time: ``waits`` does that.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    waits: bool = False
    batches: Sequence[Batch] = ()
    marks: list[tuple[str, float]] = field(default_factory=list)

    def begin(self, batches: Sequence[Batch]) -> None:
        """Note that an update's data are there."""
        self.batches = batches
        self.phase("forward")

    def phase(self, name: str) -> None:
        """Note when a part begins."""
        if self.waits:
            synchronise(self.device)
        self.marks.append((name, Instant.now().wall))

    def read(self, span: Span) -> dict[str, float]:
        """Return the seconds of each phase of an update that has just ended, and begin anew."""
        seconds = dict.fromkeys(PHASES, 0.0)
        marks = [("data", span.start.wall), *self.marks]
        ends = [time for _, time in marks[1:]] + [span.end.wall]
        for (name, start), end in zip(marks, ends, strict=True):
            seconds[name] += end - start
        self.marks = []
        return seconds


class Contestant:
    """Trains a fresh model of a configuration, as a run would, for as many updates as asked for.

    Attributes:
        config: As it was given.
        bench: What the run works with.
        threads: Of the processor; where the settings leave it open, those torch uses now.
        patience: Seconds left to wait, in all, for a quiet machine after an update that was not.
    """

    def __init__(
        self, config: Config, say: Console, planned: int, *, patience: float = 0.0
    ) -> None:
        """Prepare the corpus, and build all that a run has.

        Args:
            config: What `nmt train` would run. When it validates, saves and stops is not minded.
            say: Tells people what was found.
            planned: Updates that will be asked for at most.
            patience: See above.

        Raises:
            UserError: The configuration or the corpus is at fault.
        """
        self.config = config
        self.patience = patience
        self.threads = config.training.threads or torch.get_num_threads()
        self._watch = _Stopwatch()
        self._steps: list[Step] = []
        self._wanted = 0
        self._start: Instant | None = None
        self.bench = workbench(_unending(config, planned), say, self._between, self._watch)
        self._watch.device = self.device

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.bench.trainer.model.output.weight.device

    def settle(self) -> None:
        """Make what the whole process shares as this configuration wants it."""
        training = self.config.training
        torch.set_num_threads(self.threads)
        runtime.set_cuda_numerics(tf32=training.tf32, deterministic=training.deterministic)

    def train(self, updates: int, *, waits: bool = False) -> list[Step]:
        """Make updates, at least one, and return them; the first also begins the stream of data.

        Args:
            updates: How many.
            waits: Whether to tell the phases apart on a device that has to be waited for.

        Raises:
            UserError: Training ended before, or memory ran out.
        """
        self.settle()
        self._steps, self._wanted, self._start = [], updates, None
        self._watch.waits = waits
        reason = self.bench.trainer.train()
        if len(self._steps) < updates:
            raise UserError(f"training ended after {len(self._steps)} updates ({reason})")
        return self._steps

    def _between(self) -> bool:
        """Note the end of an update and the start of the next; tell whether it is enough."""
        last = len(self._steps) + 1 == self._wanted
        if last or self._watch.waits or self._start is None:
            synchronise(self.device)
        if self._start is not None:
            span = Span(self._start, Instant.now())
            counts = Counts.total(map(Counts.of, self._watch.batches))
            self._steps.append(Step(span, counts, self._watch.read(span)))
            if self.patience > 0 and not all(quiet([span])):
                self.patience -= wait_for_quiet(self.patience)
        self._start = Instant.now()
        return len(self._steps) >= self._wanted


def _unending(config: Config, planned: int) -> Config:
    """Return a configuration whose training neither validates nor saves, nor ends by itself."""
    training = replace(
        config.training,
        max_updates=planned + 1,
        max_minutes=None,
        validate_every=planned + 1,
        save_every=planned + 1,
        keep_every=None,
        patience=None,
        dry_run=True,  # no run folder is meant
    )
    return replace(config, training=training)
