"""Statistics of training speed, and the speed ratio of two alternating trainings."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.bench.clock import quiet
from nmt.bench.counts import Counts
from nmt.bench.measured_run import PHASES, WINDOW, Step


@dataclass(frozen=True)
class Speed:
    """The speed of updates. Padding is not counted.

    ``counts`` and later values are of the quiet updates, or of all updates if none is quiet.

    Attributes:
        updates: Number of all updates.
        quiet_updates: Number of quiet updates.
        others: CPU cores used by other processes, the mean over all updates; None if unknown.
        counts: Counts of the batches.
        seconds: Wall-clock time.
        tokens_per_second: Target tokens per second, the median over windows of `WINDOW` updates.
        phases: Mean seconds of each part of an update.
    """

    updates: int
    quiet_updates: int
    others: float | None
    counts: Counts
    seconds: float
    tokens_per_second: float
    phases: dict[str, float]

    @property
    def mean_tokens_per_second(self) -> float:
        """All target tokens divided by the total time."""
        return self.counts.target_tokens / self.seconds

    @classmethod
    def of(cls, steps: Sequence[Step]) -> "Speed":
        """Measure successive updates, at least one."""
        calm = quiet([step.span for step in steps])
        trusted = calm if any(calm) else [True] * len(steps)
        chosen = [step for step, good in zip(steps, trusted, strict=True) if good]
        windows = [
            [step for step, good in rows if good]
            for rows in _windows(list(zip(steps, trusted, strict=True)))
        ]
        return cls(
            updates=sum(step.updates for step in steps),
            quiet_updates=sum(s.updates for s, good in zip(steps, calm, strict=True) if good),
            others=_others(steps),
            counts=Counts.total(step.counts for step in chosen),
            seconds=sum(step.span.seconds for step in chosen),
            tokens_per_second=statistics.median(
                tokens_per_second(rows) for rows in windows if rows
            ),
            phases=_mean_phases(chosen),
        )


def _windows(rows: list[tuple[Step, bool]]) -> list[list[tuple[Step, bool]]]:
    """Group successive steps into windows of at least `WINDOW` updates; the last may be shorter."""
    windows: list[list[tuple[Step, bool]]] = [[]]
    for row in rows:
        if sum(step.updates for step, _ in windows[-1]) >= WINDOW:
            windows.append([])
        windows[-1].append(row)
    return windows


def _mean_phases(steps: Sequence[Step]) -> dict[str, float]:
    """Return the mean seconds of each part of an update."""
    updates = sum(step.updates for step in steps)
    return {p: sum(s.phases[p] * s.updates for s in steps) / updates for p in PHASES}


def tokens_per_second(steps: Sequence[Step]) -> float:
    """Return the target tokens per second of updates."""
    tokens = sum(step.counts.target_tokens for step in steps)
    return tokens / sum(step.span.seconds for step in steps)


def _others(steps: Sequence[Step]) -> float | None:
    taken = 0.0
    for step in steps:
        others = step.span.others
        if others is None:
            return None
        taken += others * step.span.seconds
    return taken / sum(step.span.seconds for step in steps)


@dataclass(frozen=True)
class Ratio:
    """The speed of a first training divided by that of a second, in alternating blocks.

    Attributes:
        median: The median over pairs of blocks.
        low: The lower quartile.
        high: The upper quartile.
        pairs: The ratio of each pair that is not left out.
        left_out: Number of pairs in which a block has no quiet update.
    """

    median: float
    low: float
    high: float
    pairs: list[float]
    left_out: int


def ratio(first: Sequence[Sequence[Step]], second: Sequence[Sequence[Step]]) -> Ratio:
    """Compare two trainings, block by block.

    Only the quiet updates of each block count. If no pair of blocks has quiet updates on both
    sides, all updates count.

    Args:
        first: Blocks of updates, in order.
        second: As many blocks of the other training.
    """
    calm = [(quiet_part(one), quiet_part(other)) for one, other in zip(first, second, strict=True)]
    usable = [pair for pair in calm if all(pair)]
    left_out = len(calm) - len(usable)
    if not usable:
        usable, left_out = list(zip(map(list, first), map(list, second), strict=True)), 0
    pairs = [tokens_per_second(one) / tokens_per_second(other) for one, other in usable]
    low, median, high = quartiles(pairs)
    return Ratio(median, low, high, pairs, left_out)


def quiet_part(block: Sequence[Step]) -> list[Step]:
    """Return the quiet steps of a block."""
    calm = quiet([step.span for step in block])
    return [step for step, good in zip(block, calm, strict=True) if good]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile of at least one value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high
