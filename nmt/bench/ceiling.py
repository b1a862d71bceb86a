"""The ceiling of a machine: the speed of matrix products, an upper bound of training speed."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor

SHAPES = ((2048, 2048, 2048), (4096, 256, 1024))
"""Sizes (m, k, n) of products [m, k] [k, n]: a square, and one of a small feed-forward layer."""

_SHAPES_ON_CUDA = (*SHAPES, (8192, 8192, 8192))  # smaller products do not fill a GPU
_MIN_PRODUCTS = 3  # least number of products per shape
_QUEUED = 8  # products between two events on a GPU


@dataclass(frozen=True)
class Ceiling:
    """The speed of matrix products in one dtype.

    Attributes:
        precision: Dtype of the factors.
        rates: Operations per second by shape, such as "2048 x 2048 x 2048": the median over
            products.
    """

    precision: str
    rates: dict[str, float]

    @property
    def flop_per_second(self) -> float:
        """Operations per second of the fastest shape."""
        return max(self.rates.values())


def measure_ceiling(precision: torch.dtype, device: torch.device, seconds: float = 1.0) -> Ceiling:
    """Multiply matrices of ones for ``seconds``, with torch's current number of threads."""
    shapes = _SHAPES_ON_CUDA if device.type == "cuda" else SHAPES
    rates = {}
    for m, k, n in shapes:
        left = torch.ones(m, k, dtype=precision, device=device)
        right = torch.ones(k, n, dtype=precision, device=device)
        taken = _times(left, right, seconds / len(shapes))
        rates[f"{m} x {k} x {n}"] = 2 * m * k * n / statistics.median(taken)
    return Ceiling(str(precision).removeprefix("torch."), rates)


def _times(left: Tensor, right: Tensor, seconds: float) -> list[float]:
    """Return the seconds of each product; a warm-up product is not included."""
    product = left @ right
    torch.mm(left, right, out=product)
    taken: list[float] = []
    synchronise(left.device)
    timed = _timed_on_gpu if left.is_cuda else _timed
    ending = time.perf_counter() + seconds
    while len(taken) < _MIN_PRODUCTS or time.perf_counter() < ending:
        taken.append(timed(left, right, product))
    return taken


def _timed(left: Tensor, right: Tensor, product: Tensor) -> float:
    began = time.perf_counter()
    torch.mm(left, right, out=product)
    synchronise(left.device)
    return time.perf_counter() - began


def _timed_on_gpu(left: Tensor, right: Tensor, product: Tensor) -> float:
    """Return the mean seconds of several queued products, without the time of their launches.

    A product runs before the first event, so that the device has work while the host queues the
    measured ones.
    """
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.mm(left, right, out=product)
    start.record()
    for _ in range(_QUEUED):
        torch.mm(left, right, out=product)
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / 1000 / _QUEUED  # from milliseconds


def synchronise(device: torch.device) -> None:
    """Wait until a device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
