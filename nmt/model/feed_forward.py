"""The feed-forward sublayer of a Transformer (Vaswani et al. 2017, section 3.3).

Legend: N rows, D model size, F feed-forward size.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.config.model import TransformerDecoderConfig, TransformerEncoderConfig
from nmt.model.dropout import Dropout
from nmt.model.linear import Linear, filled, on_cpu, product, product_type, weight_gradient

_threshold_backward_ = torch.ops.aten.threshold_backward.grad_input  # (g, x, 0) -> g where x > 0


class SwiGlu(nn.Module):
    """swish(x W) * x V (Shazeer 2020, eq. 6), the two products in one."""

    def __init__(self, size: int, feed_forward_size: int) -> None:
        """Widen ``size`` to ``feed_forward_size``; no biases, as in the paper."""
        super().__init__()
        self.gated_projection = Linear(size, 2 * feed_forward_size, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        """Map states [..., D] to [..., feed_forward_size]."""
        gate, value = self.gated_projection(states).chunk(2, dim=-1)
        return functional.silu(gate) * value


class FeedForward(nn.Sequential):
    """max(0, x W_1 + b_1) W_2 + b_2, or with GELU or SwiGLU in place of the maximum.

    SwiGLU has three matrices: at two thirds of the width it costs as much as the others. On a CPU
    the original is one operation, whose backward pass reads from the hidden vectors themselves what
    was negative and what was dropped.
    """

    def __init__(self, config: TransformerEncoderConfig | TransformerDecoderConfig) -> None:
        """Widen D to ``feed_forward_size`` and back."""
        size, width = config.hidden_size, config.feed_forward_size
        if config.activation == "swiglu":
            widen: list[nn.Module] = [SwiGlu(size, width)]
        else:
            widen = [Linear(size, width), nn.ReLU() if config.activation == "relu" else nn.GELU()]
        narrow = Linear(width, size, bias=config.activation != "swiglu")
        super().__init__(*widen, Dropout(config.feed_forward_dropout), narrow)

    def forward(self, states: Tensor) -> Tensor:
        """Map states [..., D] to [..., D]."""
        if not torch.is_grad_enabled() or not on_cpu(states) or not isinstance(self[1], nn.ReLU):
            composed: Tensor = super().forward(states)  # type: ignore[no-untyped-call]
            return composed
        widen, _, dropout, narrow = self
        assert isinstance(widen, Linear)
        assert isinstance(narrow, Linear)
        kind = product_type(states)
        with torch.autocast("cpu", enabled=False):
            result: Tensor = _ReluFeedForward.apply(  # type: ignore[no-untyped-call]
                states,
                widen.weight,
                widen.bias,
                narrow.weight,
                narrow.bias,
                dropout,
                kind,
            )
        return result


class _ReluFeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        widen: Tensor,
        widen_bias: Tensor,
        narrow: Tensor,
        narrow_bias: Tensor,
        dropout: Dropout,
        kind: torch.dtype,
    ) -> Tensor:
        rows, ctx.scale = filled(states.reshape(-1, states.size(-1)), kind), dropout.scale
        first, second = widen.to(kind), (narrow * ctx.scale).to(kind)
        hidden = product(rows, first, widen_bias.to(kind), relu=True)
        if dropout.drops:
            dropout.zero_(hidden)
        ctx.save_for_backward(rows, hidden, first, second)
        ctx.kinds = states.dtype, widen.dtype
        result = product(hidden, second, narrow_bias.to(kind))
        return result[: states.shape[:-1].numel()].view(states.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, hidden, first, second = ctx.saved_tensors
        inputs, kind = ctx.kinds
        flat = filled(gradient.reshape(-1, len(second)), gradient.dtype)
        narrow = weight_gradient(flat, hidden, kind).mul_(ctx.scale)
        inner = product(flat, second.t())
        _threshold_backward_(inner, hidden, 0, grad_input=inner)
        back = product(inner, first.t())[: gradient.shape[:-1].numel()]
        widen = weight_gradient(inner, rows, kind)
        biases = inner.sum(dim=0).to(kind), flat.sum(dim=0).to(kind)
        back = back.to(inputs).view(gradient.shape)
        return back, widen, biases[0], narrow, biases[1], None, None
