"""A context for captures of CUDA graphs: no garbage collection, and a valid random generator."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from nmt.kernels import private_torch


@contextmanager
def undisturbed_capture(device: torch.device, pool: Any) -> Iterator[None]:
    """Guard a capture on a CUDA device. The state of the generator does not change.

    The garbage collector must not free memory of the device during a capture. A failed capture
    leaves the default generator in capture mode, so the generator gets a new state object. In some
    versions of torch, a failed capture also leaves the allocator in capture mode (pytorch pull
    request 180395). Then the next `torch.cuda.empty_cache` would raise an error.

    Args:
        device: The device of the capture.
        pool: The identifier of the memory pool of the graph.
    """
    random = torch.cuda.get_rng_state(device)
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    except BaseException:
        with torch.cuda.device(device):
            index = torch.cuda.current_device()
        _end_allocation(index, pool)
        _renew_generator(index, random)
        raise
    finally:
        if was_on:
            gc.enable()
    torch.cuda.set_rng_state(random, device)


def _end_allocation(index: int, pool: Any) -> None:
    end, release = private_torch.end_allocation, private_torch.release_pool
    if end is None or release is None:
        return
    with suppress(RuntimeError):  # the capture never began, or torch has ended it correctly
        end(index, pool)
        release(index, pool)


def _renew_generator(index: int, state: torch.Tensor) -> None:
    fresh = torch.Generator(torch.device("cuda", index))
    fresh.set_state(state)
    torch.cuda.default_generators[index].graphsafe_set_state(fresh)
