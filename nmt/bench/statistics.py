"""Speeds of updates, and of two trainings that took turns."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.bench.clock import quiet
from nmt.bench.contestant import PHASES, Step
from nmt.bench.counts import Counts

WINDOW = 5
"""Updates a speed is taken over: one alone has batches of one length only."""


@dataclass(frozen=True)
class Speed:
    """How fast updates were; pads count nowhere.

    Attributes:
        updates: All of them.
        quiet_updates: Those that were quiet, of which the rest tells; if none was, all.
        others: Cores that other processes took, the mean over all updates; None where the system
            does not tell.
        counts: Of the batches.
        seconds: Of wall clock.
        tokens_per_second: Target pieces, the median over windows of `WINDOW` updates.
        phases: Seconds of an update's parts, the mean.
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
        """All target pieces over all the time."""
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
            updates=len(steps),
            quiet_updates=sum(calm),
            others=_others(steps),
            counts=Counts.total(step.counts for step in chosen),
            seconds=sum(step.span.seconds for step in chosen),
            tokens_per_second=statistics.median(rate(rows) for rows in windows if rows),
            phases={p: statistics.fmean(step.phases[p] for step in chosen) for p in PHASES},
        )


def _windows(rows: list[tuple[Step, bool]]) -> list[list[tuple[Step, bool]]]:
    return [rows[start : start + WINDOW] for start in range(0, len(rows), WINDOW)]


def rate(steps: Sequence[Step]) -> float:
    """Return target pieces a second over updates."""
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
    """How many times as fast as the second the first was, in blocks that took turns.

    Attributes:
        median: Over pairs of blocks.
        low: The lower quartile.
        high: The upper quartile.
        pairs: Of each pair of blocks that counts.
        left_out: Pairs in which a block had no quiet update.
    """

    median: float
    low: float
    high: float
    pairs: list[float]
    left_out: int


def ratio(first: Sequence[Sequence[Step]], second: Sequence[Sequence[Step]]) -> Ratio:
    """Compare two trainings, block by block.

    Of each block only the quiet updates count. Where no pair of blocks has some on both sides,
    nothing was quiet, and all count.

    Args:
        first: Blocks of updates, in order.
        second: As many.
    """
    calm = [(quiet_part(one), quiet_part(other)) for one, other in zip(first, second, strict=True)]
    usable = [pair for pair in calm if all(pair)]
    left_out = len(calm) - len(usable)
    if not usable:
        usable, left_out = list(zip(map(list, first), map(list, second), strict=True)), 0
    pairs = [rate(one) / rate(other) for one, other in usable]
    low, median, high = quartiles(pairs)
    return Ratio(median, low, high, pairs, left_out)


def quiet_part(block: Sequence[Step]) -> list[Step]:
    """Return the quiet ones of successive updates."""
    calm = quiet([step.span for step in block])
    return [step for step, good in zip(block, calm, strict=True) if good]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile of at least one value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high
