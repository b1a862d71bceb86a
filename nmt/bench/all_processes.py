"""Combines the figures of all processes that torchrun starts for one training."""

import socket
from collections.abc import Sequence
from dataclasses import replace

from nmt import processes
from nmt.bench.ceiling import Ceiling
from nmt.bench.clock import Instant, Span
from nmt.bench.contestant import Step
from nmt.bench.counts import Counts


def combine(steps: Sequence[Step]) -> tuple[list[Step], list[float]]:
    """Return the steps of all processes as one, and each process's share of the target tokens.

    All processes have made the same updates together. The times are those of the first process, and
    the work of the processes on its machine is not that of others.

    Args:
        steps: Of this process, as many as of every other one.
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
    """Return the span of the first process, with the CPU time of all of them as its own."""
    first = spans[0]
    own = sum(span.end.own - span.start.own for span in spans)
    end = Instant(first.end.wall, first.start.own + own, first.end.busy)
    return Span(first.start, end)


def total_ceiling(own: Ceiling) -> Ceiling:
    """Return the ceiling of all processes together; each has measured its own."""
    parts = processes.gather(own)
    rates = {shape: sum(part.rates[shape] for part in parts) for shape in own.rates}
    return replace(own, rates=rates)
