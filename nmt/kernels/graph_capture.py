"""What every capture of a CUDA graph needs: no garbage collection, and random numbers that last."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from nmt.kernels import dispatch


@contextmanager
def undisturbed_capture(device: torch.device, pool: Any) -> Iterator[None]:
    """Guard a capture on a CUDA device; the generator draws afterwards as if there had been none.

    The collector must not free memory of the device amid a capture. A capture that fails leaves the
    default generator in capture mode, so it gets a new state. In some versions of torch it also
    leaves the allocator so (pytorch pull request 180395), and the next `torch.cuda.empty_cache`
    would raise an error.

    Args:
        device: Where the graph is captured.
        pool: The identifier of the memory that the graph uses.
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
    end, release = dispatch.end_allocation, dispatch.release_pool
    if end is None or release is None:
        return
    with suppress(RuntimeError):  # the capture never began, or torch has ended it properly
        end(index, pool)
        release(index, pool)


def _renew_generator(index: int, state: torch.Tensor) -> None:
    fresh = torch.Generator(torch.device("cuda", index))
    fresh.set_state(state)
    torch.cuda.default_generators[index].graphsafe_set_state(fresh)
