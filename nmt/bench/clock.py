"""Time on a machine that others use too: steps, and which of them were quiet.

A step is quiet when other processes, those of the kernel and of the hypervisor counted, took less
than `QUIET` of a core while it lasted.
"""

import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

QUIET = 0.15
"""Cores that others may take while a step counts as quiet."""

_SHORTEST = 0.5  # seconds over which the kernel's hundredths tell a share of a core


@dataclass(frozen=True)
class Instant:
    """A point in time.

    Attributes:
        wall: Seconds.
        own: Seconds of processor time that this process and its children have taken.
        busy: Likewise all processes of the machine; None where the system does not tell.
    """

    wall: float
    own: float
    busy: float | None

    @classmethod
    def now(cls) -> "Instant":
        """Return the present."""
        return cls(time.perf_counter(), time.process_time() + _children(), _busy())


@dataclass(frozen=True)
class Span:
    """From one instant to another."""

    start: Instant
    end: Instant

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end.wall - self.start.wall

    @property
    def others(self) -> float | None:
        """Cores that other processes took; None where the system does not tell."""
        if self.start.busy is None or self.end.busy is None:
            return None
        taken = self.end.busy - self.start.busy - (self.end.own - self.start.own)
        return taken / max(1e-3, self.seconds)


def quiet(spans: Sequence[Span]) -> list[bool]:
    """Tell of each of successive spans whether it was quiet.

    A short one is judged with its neighbours, for the kernel counts in hundredths of a second.
    Where the system does not tell, all are.
    """
    return [_is_quiet(spans, place) for place in range(len(spans))]


def _is_quiet(spans: Sequence[Span], place: int) -> bool:
    first = last = place
    while spans[last].end.wall - spans[first].start.wall < _SHORTEST:
        if first == 0 and last == len(spans) - 1:
            break
        first, last = max(0, first - 1), min(len(spans) - 1, last + 1)
    others = Span(spans[first].start, spans[last].end).others
    return others is None or others < QUIET


def wait_for_quiet(seconds: float) -> float:
    """Sleep until the machine is quiet, at most so long, and return how long."""
    began = Instant.now()
    while True:
        before = Instant.now()
        left = seconds - (before.wall - began.wall)
        if left <= 0:
            break
        time.sleep(min(1.0, left))
        others = Span(before, Instant.now()).others
        if others is None or others < QUIET:
            break
    return Instant.now().wall - began.wall


def _busy() -> float | None:
    """Seconds of processor time that all have taken since the machine started."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(field) for field in file.readline().split()[1:]]
    except (OSError, ValueError):
        return None
    user, nice, system, _idle, _waiting, interrupts, soft, stolen, *_guests = fields
    total = user + nice + system + interrupts + soft + stolen  # guests stand in user and nice
    return total / os.sysconf("SC_CLK_TCK")


def _children() -> float:
    """Seconds of processor time of the living processes that this one started."""
    total = 0.0
    for child in multiprocessing.active_children():
        try:
            stat = Path(f"/proc/{child.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = stat.rpartition(")")[2].split()  # what stands before may hold spaces
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total
