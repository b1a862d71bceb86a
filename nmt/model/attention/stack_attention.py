"""The attention of a Transformer layer, built from the settings of its stack."""

from typing import Any, TypeVar

from nmt.config.model import TransformerStackConfig
from nmt.model.attention.multi_head import MultiHeadAttention

Kind = TypeVar("Kind", bound=MultiHeadAttention)


def stack_attention(
    kind: type[Kind], config: TransformerStackConfig, memory_size: int | None = None, **own: Any
) -> Kind:
    """Build attention of this class.

    Args:
        kind: The class.
        config: The settings of the stack.
        memory_size: The size of the states to which it attends; None: that of the stack.
        own: Further arguments of the constructor of this class.
    """
    return kind(
        config.hidden_size,
        config.hidden_size if memory_size is None else memory_size,
        config.num_heads,
        config.attention_dropout,
        num_kv_heads=config.num_kv_heads,
        qk_norm=config.qk_norm,
        **own,
    )
