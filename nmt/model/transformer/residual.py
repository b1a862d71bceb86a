"""Residual connections and norms of a Transformer. Legend: B batch, T length, D model size."""

from torch import Tensor, nn

from nmt.config.model import (
    NormPlace,
    NormType,
    TransformerStackConfig,
)
from nmt.kernels.dropout import add_dropped
from nmt.kernels.linear.linear_layer import shared_input
from nmt.model.layers import Dropout, RmsNorm


def _norm(config: TransformerStackConfig) -> nn.Module:
    """Build layer normalization (Ba et al. 2016) or RMS normalization (Zhang & Sennrich 2019)."""
    if config.norm_type == NormType.RMS:
        return RmsNorm(config.hidden_size)
    return nn.LayerNorm(config.hidden_size)


def last_norm(config: TransformerStackConfig) -> nn.Module:
    """Build the norm after the last layer. With pre-norm, the residual stream needs one."""
    return _norm(config) if config.norm == NormPlace.PRE else nn.Identity()


class Residual(nn.Module):
    """Dropout, residual connection and layer normalization around a sublayer.

    ``post``: norm(x + dropout(sublayer(x))), section 3.1. ``pre``: x + dropout(sublayer(norm(x))),
    Xiong et al. 2020. A layer computes both as ``x = after(x, sublayer(before(x)))``.
    """

    def __init__(self, config: TransformerStackConfig) -> None:
        """Build the norm and the dropout of one sublayer."""
        super().__init__()
        self.norm = _norm(config)
        self.dropout = Dropout(config.dropout)
        self.norm_first = config.norm == NormPlace.PRE

    def before(self, states: Tensor) -> Tensor:
        """Return the sublayer's input, [B, T, D]."""
        # Under autocast, cast once here, not in each linear layer that reads the input.
        return shared_input(self.norm(states) if self.norm_first else states)

    def after(self, states: Tensor, result: Tensor) -> Tensor:
        """Add the sublayer's result to the residual stream, [B, T, D]."""
        added = add_dropped(states, result, self.dropout.rate)
        return added if self.norm_first else self.norm(added)
