"""Attention whose weights are products of features of queries and keys, in linear time.

The weight of key s for query t is φ(q_t) · φ(k_s) divided by the sum over all keys (Katharopoulos
et al. 2020, eq. 4 and 5). `feature_weights` computes this formula. `feature_attention` computes the
contexts without the weights, from sums over all keys (eq. 6). With a causal mask, the sums are over
earlier keys (eq. 8 to 12), and are computed chunk by chunk.

Legend: B batch, T length, H heads, G heads of keys and values, F features, K head size, N chunks, C
length of a chunk.
"""

import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels.attention.scaled_dot_product import grouped_product
from nmt.kernels.precision import at_least_float32, exclusive_sums, tiny, without_autocast

CHUNK = 64
"""C. Causal attention computes weights within a chunk, and sums over earlier chunks."""


def feature_weights(queries: Tensor, keys: Tensor, allowed: Tensor | None) -> Tensor:
    """Return the weights [B, H, T, S] of features of queries [B, H, T, F] and keys [B, G, S, F].

    ``allowed`` is broadcastable to the weights, True = may attend; None: all may.
    """
    with without_autocast(queries):
        products = grouped_product(at_least_float32(queries), at_least_float32(keys).mT)
    if allowed is not None:
        products = products.masked_fill(~allowed, 0.0)
    return products / _nonzero(products.sum(-1, keepdim=True))


def feature_attention(
    queries: Tensor, keys: Tensor, values: Tensor, real: Tensor | None, *, causal: bool
) -> Tensor:
    """Return the contexts [B, H, T, K], in float32 at least; see `feature_weights`.

    Args:
        queries: Features >= 0, [B, H, T, F].
        keys: Features >= 0, [B, G, T, F]; G divides H.
        values: [B, G, T, K].
        real: [B, T], False for padded keys; None: no padding.
        causal: Whether a query attends only to keys up to its own position.
    """
    queries, keys, values = (at_least_float32(part) for part in (queries, keys, values))
    if real is not None:
        keys = keys.masked_fill(~real[:, None, :, None], 0.0)
    extended = functional.pad(values, (0, 1), value=1.0)  # the last column sums the weights
    with without_autocast(queries):
        if causal:
            return divided(_causal_sums(queries, keys, extended))
        return divided(grouped_product(queries, keys.mT @ extended))


def divided(sums: Tensor) -> Tensor:
    """Return [..., K]: the first K columns of sums [..., K + 1], divided by the last column."""
    return sums[..., :-1] / _nonzero(sums[..., -1:])


def _causal_sums(queries: Tensor, keys: Tensor, extended: Tensor) -> Tensor:
    """Return the sums [B, H, T, K + 1] over the keys up to the position of each query."""
    length, groups = queries.size(2), queries.size(1) // keys.size(1)
    parts = (_chunks(part) for part in (queries, keys, extended))
    query, key, value = parts  # [B, H or G, N, C, ...]
    states = exclusive_sums((key.mT @ value).flatten(3)).view(
        *key.shape[:3], key.size(-1), value.size(-1)
    )  # [B, G, N, F, K + 1], of earlier chunks
    if groups > 1:
        key, value, states = (part.repeat_interleave(groups, 1) for part in (key, value, states))
    within = (query @ key.mT).tril()
    return (query @ states + within @ value).flatten(2, 3)[:, :, :length]


def _chunks(part: Tensor) -> Tensor:
    padded = functional.pad(part, (0, 0, 0, -part.size(2) % CHUNK))
    return padded.unflatten(2, (-1, CHUNK))


def _nonzero(totals: Tensor) -> Tensor:
    """Replace totals of 0 by 1. Then weights are 0, not NaN, and their gradients are finite."""
    return torch.where(totals >= tiny(totals), totals, 1.0)
