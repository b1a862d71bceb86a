"""Replaces or records the attention weights of a model during its forward pass.

Every attention passes its weights through its ``dropout`` module before it averages the values.
Another module in place of ``dropout`` can therefore read and change the weights. The weights that
the model returns are the unchanged ones.

Legend: B batch, H heads, T target length, S source length.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from nmt.model.attention.core import Attention
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.seq2seq import TranslationModel

Change = Callable[[Tensor], Tensor]
"""A function from weights [B, ..., T, S] to the weights that replace them."""


class _Changed(nn.Module):
    """Replaces the dropout module of an attention."""

    rate = 0.0

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._change = change

    def forward(self, weights: Tensor) -> Tensor:
        """Change the weights [B, ..., T, S]."""
        return self._change(weights)


@contextmanager
def changed_cross_attention(model: TranslationModel, change: Change) -> Iterator[None]:
    """Replace the weights of all attentions to the source, in all layers.

    Call the model with ``need_weights=True``: fused attention does not compute the weights.
    """
    with ExitStack() as stack:
        for attention in cross_attentions(model):
            stack.enter_context(_changed(attention, change))
        yield


@contextmanager
def recorded_self_attention(model: TranslationModel) -> Iterator[list[Tensor]]:
    """Record the weights [B, H, S, S] of the encoder's self-attention, a tensor per layer."""
    found: list[Tensor] = []

    def record(weights: Tensor) -> Tensor:
        found.append(weights)
        return weights

    with ExitStack() as stack:
        for attention in self_attentions(model):
            stack.enter_context(_changed(attention, record))
            stack.enter_context(_explicit(attention))
        yield found


def cross_attentions(model: TranslationModel) -> list[Attention | MultiHeadAttention]:
    """Return the decoder's attentions to the source, the first layer first."""
    layers = [m for n, m in model.decoder.named_modules() if n.endswith("cross_attention")]
    kinds = (Attention, MultiHeadAttention)
    found = layers or [m for m in model.decoder.modules() if isinstance(m, Attention)]
    return [attention for attention in found if isinstance(attention, kinds)]


def self_attentions(model: TranslationModel) -> list[MultiHeadAttention]:
    """Return the encoder's self-attentions, the first layer first; none for an RNN."""
    modules = model.encoder.modules()
    return [module for module in modules if isinstance(module, MultiHeadAttention)]


@contextmanager
def _changed(attention: Attention | MultiHeadAttention, change: Change) -> Iterator[None]:
    before = attention.dropout
    attention.dropout = _Changed(change)  # type: ignore[assignment]
    try:
        yield
    finally:
        attention.dropout = before


@contextmanager
def _explicit(attention: MultiHeadAttention) -> Iterator[None]:
    before = attention.can_fuse
    attention.can_fuse = False
    try:
        yield
    finally:
        attention.can_fuse = before
