"""Timing on a shared machine: finds the steps that other processes did not disturb.

Such a step is quiet: other processes, including the kernel and the hypervisor, used less than
`QUIET` CPU cores during the step.
"""

import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

QUIET = 0.15
"""CPU cores that other processes may use during a quiet step."""

_MIN_SECONDS = 0.5  # the kernel counts CPU time in 0.01 s, too coarse for shorter spans


@dataclass(frozen=True)
class Instant:
    """A point in time.

    Attributes:
        wall: Wall-clock seconds.
        own: CPU seconds used by this process and its children.
        busy: CPU seconds used by all processes of the machine; None if unknown.
    """

    wall: float
    own: float
    busy: float | None

    @classmethod
    def now(cls) -> "Instant":
        """Return the current instant."""
        return cls(time.perf_counter(), time.process_time() + _children(), _busy())


@dataclass(frozen=True)
class Span:
    """The time between two instants."""

    start: Instant
    end: Instant

    @property
    def seconds(self) -> float:
        """Length in wall-clock seconds."""
        return self.end.wall - self.start.wall

    @property
    def others(self) -> float | None:
        """CPU cores used by other processes; None if unknown."""
        if self.start.busy is None or self.end.busy is None:
            return None
        used = self.end.busy - self.start.busy - (self.end.own - self.start.own)
        return used / max(1e-3, self.seconds)


def quiet(spans: Sequence[Span]) -> list[bool]:
    """Return for each of successive spans whether it was quiet.

    Spans shorter than 0.5 s are extended by their neighbors, because the kernel counts CPU time in
    0.01 s. If the system does not report the load, all spans count as quiet.
    """
    return [_is_quiet(spans, index) for index in range(len(spans))]


def _is_quiet(spans: Sequence[Span], index: int) -> bool:
    first = last = index
    while spans[last].end.wall - spans[first].start.wall < _MIN_SECONDS:
        if first == 0 and last == len(spans) - 1:
            break
        first, last = max(0, first - 1), min(len(spans) - 1, last + 1)
    others = Span(spans[first].start, spans[last].end).others
    return others is None or others < QUIET


def wait_for_quiet(seconds: float) -> float:
    """Sleep until the machine is quiet, for at most ``seconds``; return the seconds slept."""
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
    """Return the CPU seconds of all processes since the machine started; None if unknown."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(field) for field in file.readline().split()[1:]]
    except (OSError, ValueError):
        return None
    user, nice, system, _idle, _waiting, interrupts, soft, stolen, *_guests = fields
    total = user + nice + system + interrupts + soft + stolen  # user and nice include guests
    return total / os.sysconf("SC_CLK_TCK")


def _children() -> float:
    """Return the CPU seconds of the running child processes of this process."""
    total = 0.0
    for child in multiprocessing.active_children():
        try:
            stat = Path(f"/proc/{child.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        fields = stat.rpartition(")")[2].split()  # after the name, which may contain spaces
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total
