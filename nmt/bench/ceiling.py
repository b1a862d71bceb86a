"""The ceiling of the machine: the speed of matrix products alone."""

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor

SHAPES = ((2048, 2048, 2048), (4096, 256, 1024))
"""[m, k] times [k, n]: a square product, and the wide one of a small model's feed-forward layer."""

_SHAPES_ON_CUDA = (*SHAPES, (8192, 8192, 8192))  # smaller products do not fill a GPU
_MIN_PRODUCTS = 3  # per shape, however long they take


@dataclass(frozen=True)
class Ceiling:
    """The speed of matrix products in one dtype.

    Attributes:
        precision: Dtype of the factors.
        rates: Operations per second by shape, such as "2048 x 2048 x 2048"; the median of many
            products.
    """

    precision: str
    rates: dict[str, float]

    @property
    def flop_per_second(self) -> float:
        """Operations per second of the fastest shape."""
        return max(self.rates.values())


def measure_ceiling(precision: torch.dtype, device: torch.device, seconds: float = 1.0) -> Ceiling:
    """Multiply matrices of ones for some seconds, with torch's current number of threads."""
    shapes = _SHAPES_ON_CUDA if device.type == "cuda" else SHAPES
    rates = {}
    for m, k, n in shapes:
        left = torch.ones(m, k, dtype=precision, device=device)
        right = torch.ones(k, n, dtype=precision, device=device)
        taken = _times(left, right, seconds / len(shapes))
        rates[f"{m} x {k} x {n}"] = 2 * m * k * n / statistics.median(taken)
    return Ceiling(str(precision).removeprefix("torch."), rates)


def _times(left: Tensor, right: Tensor, seconds: float) -> list[float]:
    """Return the seconds of each product, after a warm-up that is not included."""
    product = left @ right
    torch.mm(left, right, out=product)
    taken: list[float] = []
    synchronise(left.device)
    ending = time.perf_counter() + seconds
    while len(taken) < _MIN_PRODUCTS or time.perf_counter() < ending:
        began = time.perf_counter()
        torch.mm(left, right, out=product)
        synchronise(left.device)
        taken.append(time.perf_counter() - began)
    return taken


def synchronise(device: torch.device) -> None:
    """Wait until a device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
