"""The time of each operation or kernel in an update, measured by torch's profiler."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity

from nmt.bench.ceiling import synchronise

_LAUNCHES = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cudaMemcpy", "cudaMemset")
"""Beginnings of the names of the calls by which the host gives work to a CUDA device."""


@dataclass(frozen=True)
class Profile:
    """Where the time of some updates went.

    Attributes:
        shares: Share of each operation in the time, without the operations that it calls, the
            largest first. On a CUDA device: of each kernel and copy, by its name.
        between: Share of the time between operations; on a CUDA device, without any kernel.
        kernels: Kernels and copies that a CUDA device ran per update; None on other devices.
        launches: Calls of the host that launched them, per update. A replayed CUDA graph is one.
    """

    shares: dict[str, float]
    between: float
    kernels: float | None = None
    launches: float | None = None


def profile(work: Callable[[], object], device: torch.device, updates: int) -> Profile:
    """Run some updates and return where their time went.

    The profiler slows the work down, so the shares are meaningful but the speed is not.

    Args:
        work: Makes the updates.
        device: Where they run.
        updates: Number of updates.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # keeps the profiler from writing to stderr
    on_cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    synchronise(device)
    with torch.profiler.profile(activities=activities) as profiler:
        began = time.perf_counter()
        work()
        synchronise(device)
        microseconds = 1e6 * (time.perf_counter() - began)
    if on_cuda:
        return gpu_profile(profiler.events() or (), microseconds, updates)
    own = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    shares = _shares(own, microseconds)
    return Profile(shares, 1 - sum(shares.values()))


def gpu_profile(events: Iterable[Any], microseconds: float, updates: int) -> Profile:
    """Summarize the events of torch's profiler on a CUDA device.

    Kernels are counted by their own events, not by the operations that launched them: those of a
    replayed graph have no operation. A range that a program marks, such as an optimizer's step, is
    no kernel, and torch marks it on the host under the same name.

    Args:
        events: `torch.autograd.profiler_util.FunctionEvent`, of the host and the device.
        microseconds: Time of the updates.
        updates: Number of updates.
    """
    events = list(events)
    host = [event for event in events if event.device_type.name == "CPU"]
    names = {event.name for event in host}
    kernels = [e for e in events if e.device_type.name == "CUDA" and e.name not in names]
    own: Counter[str] = Counter()
    for kernel in kernels:
        own[kernel.name] += kernel.time_range.end - kernel.time_range.start
    launches = sum(event.name.startswith(_LAUNCHES) for event in host)
    busy = _covered([(e.time_range.start, e.time_range.end) for e in kernels])
    return Profile(
        _shares(own, microseconds),
        1 - busy / microseconds,
        kernels=len(kernels) / updates,
        launches=launches / updates,
    )


def _covered(intervals: Sequence[tuple[float, float]]) -> float:
    """Return the time that is covered by at least one interval."""
    covered, until = 0.0, -float("inf")
    for start, end in sorted(intervals):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _shares(own: Mapping[str, float], microseconds: float) -> dict[str, float]:
    largest = sorted(own.items(), key=lambda item: -item[1])
    return {name: took / microseconds for name, took in largest if took > 0}
