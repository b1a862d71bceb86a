"""Attention within the sentences of a packed row, in three implementations.

``explicit`` masks all other sentences. It is correct on every device, but the number of scores
grows with the square of the length of the row. ``flash`` and ``efficient`` are torch's kernels for
sentences of different lengths, given their offsets (Dao 2023; Rabe & Staats 2021). They read and
write only the sentences. So each position of the row must belong to a sentence, and a sentence with
queries must have keys, and vice versa.

Legend: N queries, S keys, H heads, G heads of keys and values, K head size.
"""

from torch import Tensor

from nmt.kernels import dispatch, private_torch
from nmt.kernels.attention.attention_mask import SentenceMask
from nmt.kernels.attention.packed_path import PackedPath, packed_attention_path
from nmt.kernels.attention.scaled_dot_product import attention


def packed_attention(
    query: Tensor, keys: Tensor, values: Tensor, mask: SentenceMask, dropout_p: float = 0.0
) -> Tensor:
    """Return softmax(Q K^T / sqrt(d_k)) V within each sentence, heads joined, [1, N, H · K].

    Args:
        query: Q, [1, H, N, K].
        keys: K, [1, G, S, K]; G divides H.
        values: V, [1, G, S, K].
        mask: The sentences.
        dropout_p: Probability of dropping a weight; 0 except in training. The implementations draw
            different random numbers.
    """
    dtype = dispatch.product_dtype(query)
    path = packed_attention_path(query, dtype, dropout_p)
    if path is PackedPath.EXPLICIT:
        return attention(query, keys, values, mask.explicit_for(query, keys), None, dropout_p)
    q, k, v = (part.to(dtype)[0].transpose(0, 1) for part in (query, keys, values))
    kernel = flash_attention if path is PackedPath.FLASH else efficient_attention
    return kernel(q, k, v, mask, dropout_p).flatten(1)[None]


def flash_attention(
    query: Tensor, keys: Tensor, values: Tensor, mask: SentenceMask, dropout_p: float
) -> Tensor:
    """Attend from queries [N, H, K] to keys and values [S, G, K] with flash attention."""
    assert private_torch.flash_by_offsets is not None
    context: Tensor = private_torch.flash_by_offsets(
        query,
        keys,
        values,
        mask.query_offsets,
        mask.key_offsets,
        mask.longest_query,
        mask.longest_key,
        dropout_p,
        mask.causal,
        False,
        scale=query.size(-1) ** -0.5,
    )[0]
    return context


def efficient_attention(
    query: Tensor, keys: Tensor, values: Tensor, mask: SentenceMask, dropout_p: float
) -> Tensor:
    """Compute `flash_attention` with the memory-efficient kernel, for which G must be H."""
    assert private_torch.efficient_by_offsets is not None
    assert not dropout_p
    groups = query.size(1) // keys.size(1)
    if groups > 1:
        keys, values = (part.repeat_interleave(groups, dim=1) for part in (keys, values))
    context: Tensor = private_torch.efficient_by_offsets(
        query[None],
        keys[None],
        values[None],
        None,
        mask.query_offsets,
        mask.key_offsets,
        mask.longest_query,
        mask.longest_key,
        0.0,
        int(mask.causal),  # 1: causal, with the diagonal in the upper left corner
        True,
        scale=query.size(-1) ** -0.5,
    )[0]
    return context[0]
