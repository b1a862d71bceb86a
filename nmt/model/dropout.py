"""Dropout that is cheap on a CPU."""

from typing import Any

import numpy as np
import torch
from numpy.random import SFC64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_BYTE, _TWO_BYTES = 2**8, 2**16
_NEAR = 0.05  # how far, in parts of it, a probability may be from what bytes can tell
_SEEDS = 2**62
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014).

    On a CPU torch draws one random number an element; here eight elements share one 64-bit draw,
    a byte each. The probability is therefore a multiple of 1/256 there (0.1 becomes 26/256), and
    the survivors are scaled by exactly that. What this would change by more than a twentieth, of
    what is dropped or of what is kept, takes two bytes an element and multiples of 1/65,536.
    """

    def __init__(self, probability: float) -> None:
        """Zero each element with this probability, while training."""
        super().__init__()
        self.probability = probability
        found = round(probability * _BYTE) / _BYTE
        near = abs(found - probability) <= _NEAR * min(probability, 1 - probability)
        self._levels = _BYTE if near else _TWO_BYTES
        self._threshold = round(probability * self._levels)

    @property
    def scale(self) -> float:
        """What the survivors are multiplied by on a CPU; 1 where nothing is dropped."""
        return self._levels / (self._levels - self._threshold) if self.drops else 1.0

    @property
    def drops(self) -> bool:
        """Whether anything is dropped now."""
        return self.training and self._threshold > 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop elements of a tensor of any shape."""
        if not self.drops:
            return inputs
        if inputs.device.type != "cpu" or torch.compiler.is_compiling():
            return functional.dropout(inputs, self.probability)
        dropped: Tensor = _Drop.apply(inputs, self)  # type: ignore[no-untyped-call]
        return dropped

    def zero_(self, values: Tensor) -> Tensor:
        """Drop elements of a tensor on a CPU, in its place and without scaling the others.

        Returns:
            The bytes that say which were kept, 1 or 0.
        """
        kept = self._draw(values)
        _multiply_(values, kept)
        return kept

    def _draw(self, values: Tensor) -> Tensor:
        # numpy draws words faster; torch's generator gives the seed, and so governs all
        seed = int(torch.randint(_SEEDS, ()))
        size = 1 if self._levels == _BYTE else 2
        words = np.asarray(SFC64(seed).random_raw((size * values.numel() + 7) // 8))
        if size == 1:
            noise = torch.from_numpy(words.view(np.uint8))[: values.numel()]
            return noise.view(values.shape).ge_(self._threshold)
        noise = torch.from_numpy(words.view(np.int16))[: values.numel()]
        return noise.view(values.shape).ge(self._threshold - _TWO_BYTES // 2).view(torch.uint8)

    def extra_repr(self) -> str:
        """Show the probability."""
        return str(self.probability)


def _multiply_(values: Tensor, kept: Tensor) -> None:
    # As whole numbers, whose product with 1 is all bits and with 0 none: torch converts bytes
    # faster to them than to bfloat16, and slowest of all from bool.
    whole = _WHOLE[values.element_size()]
    values.view(whole).mul_(kept.to(whole))


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, dropout: Dropout) -> Tensor:
        ctx.scale = dropout.scale
        result = inputs * ctx.scale
        ctx.save_for_backward(dropout.zero_(result))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        back = gradient * ctx.scale
        _multiply_(back, kept)
        return back, None
