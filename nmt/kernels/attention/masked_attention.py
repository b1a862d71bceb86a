"""Scaled dot-product attention with a mask of any form, in the implementation for this form.

The formula is `nmt.kernels.attention.scaled_dot_product.naive_attention`.

Legend: B batch, T queries, S keys, H heads, G heads of keys and values, K head size.
"""

from torch import Tensor

from nmt.kernels.attention.attention_mask import AttentionMask, Mask, SentenceMask
from nmt.kernels.attention.packed_attention import packed_attention
from nmt.kernels.attention.scaled_dot_product import attention
from nmt.kernels.attention.step_attention import is_by_columns, step_attention


def masked_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Mask | None,
    bias: Tensor | None,
    dropout_p: float,
) -> Tensor:
    """Return softmax(Q K^T / sqrt(d_k) + bias) V, heads joined, [B, T, H · K].

    Args:
        query: Q, [B, H, T, K].
        keys: K, [B, G, S, K]; G divides H.
        values: V, [B, G, S, K].
        mask: The keys to which each query may attend; None: all.
        bias: [H, T, S], or None.
        dropout_p: Probability of dropping a weight; 0 except in training.

    Raises:
        ValueError: A packed row has a bias. A bias holds only for positions of one sentence.
    """
    if isinstance(mask, SentenceMask):
        if bias is not None:
            raise ValueError("attention in packed rows has no bias")
        return packed_attention(query, keys, values, mask, dropout_p)
    if is_by_columns(keys) and not isinstance(mask, AttentionMask) and not dropout_p:
        return step_attention(query, keys, values, mask, bias)
    return attention(query, keys, values, mask, bias, dropout_p)
