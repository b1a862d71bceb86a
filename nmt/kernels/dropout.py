"""Dropout.

On a CPU, torch draws one random number per element. The fast path lets eight elements share one
64-bit number, a byte each.
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
_TOLERANCE = 0.05  # largest relative error of a probability, and of its complement, in bytes
_NUM_SEEDS = 2**62
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by size in bytes


def host_draw() -> float:
    """Return a random number in [0, 1) of torch's CPU generator; it waits for no other device."""
    return torch.rand((), device="cpu").item()  # not torch's default device


def plain_dropout(inputs: Tensor, probability: float) -> Tensor:
    """Zero each element with a probability and divide the others by its complement."""
    return functional.dropout(inputs, probability)


class DiscreteRate:
    """A probability of dropout rounded to what one or two random bytes can represent.

    It is a multiple of 1/256 (0.1 becomes 26/256), and the surviving elements are scaled by exactly
    its complement. If this rounding would change the share of dropped or of kept elements by more
    than a twentieth, an element takes two bytes, and the probability is a multiple of 1/65,536.
    """

    def __init__(self, probability: float) -> None:
        """Round a probability."""
        rounded = round(probability * _BYTE) / _BYTE
        bound = _TOLERANCE * min(probability, 1 - probability)
        self.levels = _BYTE if abs(rounded - probability) <= bound else _TWO_BYTES
        self.threshold = round(probability * self.levels)
        self.scale = 1.0
        """The factor of surviving elements; 1 if nothing is dropped."""
        if 0 < self.threshold < self.levels:
            self.scale = self.levels / (self.levels - self.threshold)

    def zero_(self, values: Tensor) -> Tensor | None:
        """Zero elements of a CPU tensor in place, without scaling the others.

        Returns:
            A mask of bytes, 1 where the element was kept, else 0; None if nothing is ever dropped.
        """
        if not self.threshold:
            return None
        kept = self.draw(values)
        apply_mask_(values, kept)
        return kept

    def draw(self, values: Tensor) -> Tensor:
        """Return a mask of bytes of the values' shape, 1 where an element is kept, else 0."""
        # numpy draws words faster; torch's generator provides the seed, so seeding torch suffices
        seed = int(torch.randint(_NUM_SEEDS, (), device="cpu"))  # not torch's default device
        size = 1 if self.levels == _BYTE else 2
        words = np.asarray(np.random.SFC64(seed).random_raw((size * values.numel() + 7) // 8))
        if size == 1:
            noise = torch.from_numpy(words.view(np.uint8))[: values.numel()]
            return noise.view(values.shape).ge_(self.threshold)
        noise = torch.from_numpy(words.view(np.int16))[: values.numel()]
        return noise.view(values.shape).ge(self.threshold - _TWO_BYTES // 2).view(torch.uint8)


@cache
def discrete_rate(probability: float) -> DiscreteRate:
    """Return the rounded probability; it is computed once."""
    return DiscreteRate(probability)


def apply_mask_(values: Tensor, kept: Tensor) -> None:
    """Multiply values by a mask of bytes, 1 or 0, in place.

    Both are viewed as integers: a product with 1 keeps all bits, and a product with 0 clears them.
    torch converts bytes to integers faster than to bfloat16, and booleans most slowly.
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
    """Return states + dropout(result), of one shape, as a residual connection needs it.

    The random numbers are those of `dropout`. The fast path saves two passes.
    """
    rate = discrete_rate(probability)
    if dispatch.add_dropped_path(states, result) is KernelPath.PLAIN or not rate.threshold:
        return plain_add_dropped(states, result, probability)
    added: Tensor = _AddDropped.apply(states, result, rate)  # type: ignore[no-untyped-call]
    return added


def dropout(inputs: Tensor, probability: float) -> Tensor:
    """Zero elements of a tensor of any shape (Srivastava et al. 2014) and scale the others.

    The random numbers depend on torch's CPU generator alone. A probability of 0 returns the inputs
    and draws nothing.
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
