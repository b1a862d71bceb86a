"""The time of each operation in an update, measured by torch's profiler."""

import os
import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity

from nmt.bench.ceiling import synchronise


def profile(work: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Run some work and return the share of each operation in its time, the largest first.

    The share of an operation excludes the operations that it calls. On a CUDA device it is the time
    of the kernels that the operation launched. The remainder to 1 is time between operations. The
    profiler slows the work down, so the shares are meaningful but the speed is not.

    Args:
        work: What to run.
        device: Where it runs.
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
    own = {
        event.key: (event.self_device_time_total if on_cuda else event.self_cpu_time_total)
        for event in profiler.key_averages()
        if event.device_type.name == "CPU"  # a kernel counts for the operation that launched it
    }
    largest = sorted(own.items(), key=lambda item: -item[1])
    return {name: took / microseconds for name, took in largest if took > 0}
