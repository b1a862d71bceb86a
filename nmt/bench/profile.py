"""Which operations an update's time goes to, as torch's profiler tells."""

import os
import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity

from nmt.bench.ceiling import synchronise


def profile(work: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Do some work and return each operation's own share of its time, the greatest first.

    What an operation calls is not in its own share. On a CUDA device shares are of the kernels that
    an operation started. The rest, to 1, is what lies between operations. Being watched takes time
    itself: shares are good for this, speeds are not.

    Args:
        work: What is done.
        device: Where it is done.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or it writes lines of its own to stderr
    on_cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    synchronise(device)
    with torch.profiler.profile(activities=activities) as watched:
        began = time.perf_counter()
        work()
        synchronise(device)
        microseconds = 1e6 * (time.perf_counter() - began)
    own = {
        event.key: (event.self_device_time_total if on_cuda else event.self_cpu_time_total)
        for event in watched.key_averages()
        if event.device_type.name == "CPU"  # a kernel is counted by who started it
    }
    greatest = sorted(own.items(), key=lambda item: -item[1])
    return {name: took / microseconds for name, took in greatest if took > 0}
