"""Functions for computations that must not run in low precision."""

from contextlib import AbstractContextManager
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional


def at_least_float32(values: Tensor) -> Tensor:
    """Cast bfloat16 and float16 to float32, because sums lose digits in them."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def without_autocast(values: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast on the device of ``values``."""
    return torch.autocast(values.device.type, enabled=False)


def exclusive_sums(values: Tensor) -> Tensor:
    """Return the sums over earlier positions of the third axis of [B, L, T, S]; 0 at position 0.

    torch has no deterministic cumulative sum on a GPU. If deterministic algorithms are required, a
    product with a matrix of ones replaces it.
    """
    if not torch.are_deterministic_algorithms_enabled():
        return functional.pad(values[:, :, :-1], (0, 0, 1, 0)).cumsum(dim=2)
    earlier = torch.ones(values.size(2), values.size(2), dtype=values.dtype, device=values.device)
    with without_autocast(values):
        return earlier.tril(-1) @ values


def tiny(values: Tensor) -> float:
    """Return the smallest positive normal number of the dtype."""
    return torch.finfo(values.dtype).tiny


def float32_product(first: Tensor, second: Tensor) -> Tensor:
    """Return the product of two matrices in float32 at least.

    cuBLAS sums in float32. By default, it rounds the result to the dtype of the factors. From torch
    2.8 on, it can return the sums.
    """
    if first.is_cuda and first.dtype != torch.float32 and _returns_sums(first.device, first.dtype):
        return torch.mm(first, second, out_dtype=torch.float32)
    product = first @ second
    return product.to(torch.promote_types(product.dtype, torch.float32))


@cache
def _returns_sums(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether a product of factors in this dtype can have a result in float32."""
    if dtype not in (torch.bfloat16, torch.float16):
        return False
    factor = torch.eye(16, device=device, dtype=dtype)
    try:
        product = torch.mm(factor, factor, out_dtype=torch.float32)
    # Versions of torch without the argument raise a TypeError. Devices without the product raise a
    # RuntimeError.
    except (RuntimeError, TypeError):
        return False
    return torch.equal(product, factor.float())
