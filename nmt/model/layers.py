"""Basic layers of all models. Legend: I input size, O output size."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.kernels.dropout import dropout
from nmt.kernels.linear.linear_layer import linear
from nmt.kernels.linear.quantized_linear import QuantizedLinear
from nmt.kernels.recurrent.loop_over_time import repeated_linear

M = TypeVar("M", bound=nn.Module)


class Linear(nn.Linear):
    """x W^T + b, with the parameters and results of `torch.nn.Linear`.

    Attributes:
        quantized: Replaces the layer in int8 search; None: the layer is not quantized.
    """

    quantized: QuantizedLinear | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs [..., I] to [..., O]."""
        if self.quantized is not None:
            return self.quantized(inputs)
        return linear(inputs, self.weight, self.bias)


class RepeatedLinear(nn.Linear):
    """x W^T + b for the steps of an RNN decoder; see `nmt.kernels.recurrent.loop_over_time`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs [..., I] to [..., O]."""
        return repeated_linear(self, inputs)


class RmsNorm(nn.Module):
    """x / sqrt(mean(x²) + 1e-6), times a gain per unit (Zhang & Sennrich 2019, eq. 4)."""

    def __init__(self, size: int) -> None:
        """Normalize vectors of ``size``."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, states: Tensor) -> Tensor:
        """Normalize states [..., size]; the result has their dtype."""
        weight = self.weight.type_as(states)
        normed = functional.rms_norm(states, weight.shape, weight, 1e-6)
        return normed.type_as(states)  # CUDA's autocast computes in float32 from torch 2.12 on


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014)."""

    def __init__(self, probability: float) -> None:
        """Set each element to 0 with this probability in training."""
        super().__init__()
        self.probability = probability

    @property
    def rate(self) -> float:
        """The current probability: 0 in evaluation mode."""
        return self.probability if self.training else 0.0

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop elements of a tensor of any shape."""
        return dropout(inputs, self.rate)

    def extra_repr(self) -> str:
        """Show the probability."""
        return str(self.probability)


class Modules(nn.ModuleList, Generic[M]):
    """A ``ModuleList`` whose members have one type."""

    def __iter__(self) -> Iterator[M]:
        """Iterate over the members."""
        return cast("Iterator[M]", super().__iter__())

    def __getitem__(self, index: Any) -> Any:
        """Return a member, or the list of members in a slice."""
        return super().__getitem__(index)
