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
"""Prefixes of the names of the host's calls that launch work on a CUDA device."""


@dataclass(frozen=True)
class Profile:
    """The distribution of the time of some updates.

    Attributes:
        shares: Share of the time of each operation by name, without the operations that it calls,
            the largest first. On a CUDA device: of each kernel and copy.
        between: Share of the time without an operation; on a CUDA device, without a kernel.
        kernels: Kernels and copies that a CUDA device ran per update; None on other devices.
        launches: Calls of the host that launched them, per update. The replay of a CUDA graph is
            one call.
    """

    shares: dict[str, float]
    between: float
    kernels: float | None = None
    launches: float | None = None


def profile(work: Callable[[], object], device: torch.device, updates: int) -> Profile:
    """Run some updates and return the distribution of their time.

    The profiler slows the work down, so the shares are meaningful but the speed is not.

    Args:
        work: Makes the updates.
        device: The device on which they run.
        updates: Number of updates.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler then writes nothing to stderr
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

    Kernels are counted by their own events, not by the operations that launched them, because
    kernels of a replayed graph have no operation. Ranges marked by a program, such as an optimizer
    step, are not kernels. They are recognized by a host event of the same name.

    Args:
        events: `torch.autograd.profiler_util.FunctionEvent` of the host and the device.
        microseconds: Total time of the updates.
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
    """Return the length of the union of intervals."""
    covered, until = 0.0, -float("inf")
    for start, end in sorted(intervals):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _shares(own: Mapping[str, float], microseconds: float) -> dict[str, float]:
    largest = sorted(own.items(), key=lambda item: -item[1])
    return {name: took / microseconds for name, took in largest if took > 0}
