"""Computations that must not run in a low precision."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Return values in float32, or in float64 if they are: sums of fewer bits lose digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def without_autocast(values: Tensor) -> AbstractContextManager[object]:
    """Return a context in which products with these values keep their dtype."""
    return torch.autocast(values.device.type, enabled=False)


def tiny(values: Tensor) -> float:
    """Return the smallest positive normal number in the precision of the values."""
    return torch.finfo(values.dtype).tiny
