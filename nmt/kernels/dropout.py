"""Dropout.

On a CPU, torch draws one random number per element. The fast path uses a 64-bit random number for
eight elements, a byte for each.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath

_BYTE, _TWO_BYTES = 2**8, 2**16
_TOLERANCE = 0.05  # largest relative error of p and of 1 - p if one byte represents p
_NUM_SEEDS = 2**62
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by size in bytes


def host_draw() -> float:
    """Return a random number in [0, 1) of torch's CPU generator, without waiting for a GPU."""
    return torch.rand((), device="cpu").item()  # not on torch's default device


def plain_dropout(inputs: Tensor, probability: float) -> Tensor:
    """Set each element to 0 with probability p, and divide the others by 1 - p."""
    return functional.dropout(inputs, probability)


class DiscreteRate:
    """A probability p of dropout, rounded to a multiple of 1/256 or 1/65,536.

    With one random byte per element, p is a multiple of 1/256: 0.1 becomes 26/256. If this would
    change p or 1 - p by more than a twentieth, an element uses two bytes, and p is a multiple of
    1/65,536. Kept elements are divided by 1 minus the rounded p.
    """

    def __init__(self, probability: float) -> None:
        """Round a probability."""
        rounded = round(probability * _BYTE) / _BYTE
        bound = _TOLERANCE * min(probability, 1 - probability)
        self.levels = _BYTE if abs(rounded - probability) <= bound else _TWO_BYTES
        self.threshold = round(probability * self.levels)
        self.scale = 1.0
        """The factor of kept elements; 1 if no element or every element is dropped."""
        if 0 < self.threshold < self.levels:
            self.scale = self.levels / (self.levels - self.threshold)

    def zero_(self, values: Tensor) -> Tensor | None:
        """Set elements of a CPU tensor to 0 in place, without scaling the others.

        Returns:
            A mask of bytes, 1 for kept elements, else 0; None if the rounded p is 0.
        """
        if not self.threshold:
            return None
        kept = self.draw(values)
        apply_mask_(values, kept)
        return kept

    def draw(self, values: Tensor) -> Tensor:
        """Return a mask of bytes with the shape of ``values``, 1 for kept elements, else 0."""
        if self.threshold == self.levels:  # the comparisons below would overflow
            return torch.zeros(values.shape, dtype=torch.uint8)
        # numpy draws 64-bit numbers faster than torch. Its seed comes from torch's generator.
        seed = int(torch.randint(_NUM_SEEDS, (), device="cpu"))  # not on torch's default device
        size = 1 if self.levels == _BYTE else 2
        words = np.asarray(np.random.SFC64(seed).random_raw((size * values.numel() + 7) // 8))
        if size == 1:
            noise = torch.from_numpy(words.view(np.uint8))[: values.numel()]
            return noise.view(values.shape).ge_(self.threshold)
        noise = torch.from_numpy(words.view(np.int16))[: values.numel()]
        return noise.view(values.shape).ge(self.threshold - _TWO_BYTES // 2).view(torch.uint8)


@cache
def discrete_rate(probability: float) -> DiscreteRate:
    """Return the rounded probability, from a cache."""
    return DiscreteRate(probability)


def apply_mask_(values: Tensor, kept: Tensor) -> None:
    """Multiply values by a mask of bytes, 1 or 0, in place.

    The values are viewed as integers. A product with 1 keeps all bits, and a product with 0 clears
    them. torch converts bytes to integers faster than to bfloat16.
    """
    integers = _INTEGERS[values.element_size()]
    values.view(integers).mul_(kept.to(integers))


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, rate: DiscreteRate) -> Tensor:
        ctx.scale = rate.scale
        result = inputs * ctx.scale
        ctx.save_for_backward(rate.zero_(result))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        grad_input = grad_output * ctx.scale
        apply_mask_(grad_input, kept)
        return grad_input, None


class _AddDropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, result: Tensor, rate: DiscreteRate) -> Tensor:
        kept = rate.draw(result)
        ctx.scale = rate.scale
        ctx.save_for_backward(kept)
        return torch.addcmul(states, result, kept.to(result.dtype), value=ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, Tensor, None]:
        (kept,) = ctx.saved_tensors
        return grad_output, kept.to(grad_output.dtype).mul_(ctx.scale).mul_(grad_output), None


def plain_add_dropped(states: Tensor, result: Tensor, probability: float) -> Tensor:
    """Return states + dropout(result)."""
    return states + dropout(result, probability)


def add_dropped(states: Tensor, result: Tensor, probability: float) -> Tensor:
    """Return states + dropout(result), a residual connection; both have one shape.

    The random numbers equal those of `dropout`. The fast path saves two passes over the tensors.
    """
    rate = discrete_rate(probability)
    if dispatch.add_dropped_path(states, result) is KernelPath.PLAIN or not rate.threshold:
        return plain_add_dropped(states, result, probability)
    added: Tensor = _AddDropped.apply(states, result, rate)  # type: ignore[no-untyped-call]
    return added


def dropout(inputs: Tensor, probability: float) -> Tensor:
    """Set elements of a tensor to 0 and scale the others (Srivastava et al. 2014).

    The random numbers come from torch's generator of the device. With a probability of 0, return
    the inputs and draw nothing.
    """
    if not probability:
        return inputs
    if dispatch.dropout_path(inputs) is KernelPath.PLAIN:
        return plain_dropout(inputs, probability)
    rate = discrete_rate(probability)
    if not rate.threshold:
        return inputs
    dropped: Tensor = _Dropout.apply(inputs, rate)  # type: ignore[no-untyped-call]
    return dropped
