"""The position-wise feed-forward sublayer of a Transformer (Vaswani et al. 2017, section 3.3).

Legend: D model size, F feed-forward size.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from nmt.config.model import (
    Activation,
    TransformerStackConfig,
)
from nmt.kernels.linear.feed_forward import feed_forward_of_layers
from nmt.model.layers import Dropout, Linear


class SwiGlu(nn.Module):
    """swish(x W) * x V (Shazeer 2020, eq. 6); one linear layer has W and V."""

    def __init__(self, size: int, feed_forward_size: int) -> None:
        """Map ``size`` to ``feed_forward_size``; as in the paper, there are no biases."""
        super().__init__()
        self.gated_projection = Linear(size, 2 * feed_forward_size, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        """Map states [..., D] to [..., F]."""
        gate, value = self.gated_projection(states).chunk(2, dim=-1)
        return functional.silu(gate) * value


class FeedForward(nn.Sequential):
    """max(0, x W_1 + b_1) W_2 + b_2 (eq. 2), or GELU or SwiGLU instead of the maximum.

    SwiGLU has three matrices. With two thirds of F, it costs as much as ReLU and GELU.
    """

    def __init__(self, config: TransformerStackConfig) -> None:
        """Build the layers from D to ``feed_forward_size`` = F and back to D."""
        size, width = config.hidden_size, config.feed_forward_size
        if config.activation == Activation.SWIGLU:
            widen: list[nn.Module] = [SwiGlu(size, width)]
        else:
            nonlinearity = nn.ReLU() if config.activation == Activation.RELU else nn.GELU()
            widen = [Linear(size, width), nonlinearity]
        narrow = Linear(width, size, bias=config.activation != Activation.SWIGLU)
        super().__init__(*widen, Dropout(config.feed_forward_dropout), narrow)

    def forward(self, states: Tensor) -> Tensor:
        """Map states [..., D] to [..., D]; with ReLU, one kernel computes the formula."""
        layers: Any = self
        if isinstance(layers[1], nn.ReLU):
            widen, _, dropout, narrow = layers
            return feed_forward_of_layers(states, widen, narrow, dropout.rate)
        composed: Tensor = super().forward(states)  # type: ignore[no-untyped-call]
        return composed
