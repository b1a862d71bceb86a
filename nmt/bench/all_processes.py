"""Combines the figures of all processes that torchrun starts for one training."""

import socket
from collections.abc import Sequence
from dataclasses import replace

from nmt import processes
from nmt.bench.ceiling import Ceiling
from nmt.bench.clock import Instant, Span
from nmt.bench.counts import Counts
from nmt.bench.measured_run import Step


def combine(steps: Sequence[Step]) -> tuple[list[Step], list[float]]:
    """Return the combined steps of all processes, and each process's share of the target tokens.

    All processes make the same updates together. The times are those of the first process. The CPU
    time of the processes on its machine does not count as that of other programs.

    Args:
        steps: The steps of this process; all processes have the same number of steps.
    """
    parts = processes.gather((socket.gethostname(), list(steps)))
    local = [own for host, own in parts if host == parts[0][0]]
    combined = [
        replace(
            same[0],
            span=_of_one_machine([own[index].span for own in local]),
            counts=Counts.total(step.counts for step in same),
        )
        for index, same in enumerate(zip(*(own for _, own in parts), strict=True))
    ]
    tokens = [sum(step.counts.target_tokens for step in own) for _, own in parts]
    return combined, [count / max(1, sum(tokens)) for count in tokens]


def _of_one_machine(spans: Sequence[Span]) -> Span:
    """Return the span of the first process; its own CPU time is the sum over all processes."""
    first = spans[0]
    own = sum(span.end.own - span.start.own for span in spans)
    end = Instant(first.end.wall, first.start.own + own, first.end.busy)
    return Span(first.start, end)


def total_ceiling(own: Ceiling) -> Ceiling:
    """Return the sum of the ceilings that the processes have measured."""
    parts = processes.gather(own)
    rates = {shape: sum(part.rates[shape] for part in parts) for shape in own.rates}
    return replace(own, rates=rates)
