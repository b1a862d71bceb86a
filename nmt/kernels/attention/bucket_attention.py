"""Attention within buckets of a hash (Kitaev et al. 2020, section 2), in two formulations.

A key is its query divided by the norm, so both are in the same bucket. The keys of a bucket are cut
into chunks, in the order of their positions. A query attends to its own chunk and the previous one.
`visible_pairs` returns the mask of all pairs. `bucket_attention` computes in chunks.

The paper sorts all positions by bucket and cuts the sorted sequence. So a chunk of the paper may
have keys of several buckets, and depends on later pieces. Here a chunk has keys of one bucket, and
the chunk of a piece depends only on earlier pieces.

Legend: B batch, T length, H heads, K head size, R hashes, M length of a chunk, N chunks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels.precision import at_least_float32, without_autocast

OWN_SCORE = -1e5
"""Added to the score of a query and its own key. A query attends to itself only if there is no
other key."""


@dataclass(frozen=True)
class Buckets:
    """The bucket and the chunk of each position in each hash, [B, H, R, T].

    Attributes:
        buckets: 0 to ``count`` - 1; padding is in bucket ``count`` - 1.
        ranks: The number of earlier positions in the same bucket; the chunk is rank // M.
        count: Number of buckets, including the bucket of padding.
    """

    buckets: Tensor
    ranks: Tensor
    count: int


def hash_buckets(keys: Tensor, rotations: Tensor) -> Tensor:
    """Return argmax([x W; -x W]), [B, H, R, T], of keys [B, H, T, K] and W [R, K, buckets / 2]."""
    with without_autocast(keys):
        exact = at_least_float32(keys.detach())
        turned = torch.matmul(exact[:, :, None], rotations.type_as(exact))
    return torch.cat([turned, -turned], dim=-1).argmax(-1)


def ranked_buckets(keys: Tensor, rotations: Tensor, real: Tensor | None) -> Buckets:
    """Return the buckets of keys [B, H, T, K]; ``real`` [B, T] is False for padding."""
    buckets, count = hash_buckets(keys, rotations), 2 * rotations.size(-1)
    if real is not None:
        buckets = buckets.masked_fill(~real[:, None, None], count)
    ordered, order = buckets.sort(dim=-1, stable=True)
    places = torch.arange(keys.size(2), device=keys.device).expand_as(order)
    first = torch.searchsorted(ordered, ordered)
    ranks = torch.empty_like(order).scatter_(-1, order, places - first)
    return Buckets(buckets, ranks, count + 1)


def visible_pairs(found: Buckets, chunk: int, *, causal: bool) -> Tensor:
    """Return the number of hashes in which each query may attend to each key, [B, H, T, T]."""
    chunks = found.ranks // chunk
    total = None
    for buckets, numbers in zip(found.buckets.unbind(2), chunks.unbind(2), strict=True):
        apart = numbers[..., :, None] - numbers[..., None, :]
        near = (apart == 0) | (apart == 1)
        seen = (near & (buckets[..., :, None] == buckets[..., None, :])).long()
        total = seen if total is None else total + seen
    assert total is not None
    return total.tril() if causal else total


def bucket_attention(
    heads: Tensor, keys: Tensor, values: Tensor, found: Buckets, chunk: int, *, causal: bool
) -> Tensor:
    """Return the contexts [B, H, T, K] of a softmax over all keys that are visible in any hash.

    The result is the sum of the contexts of the hashes with the weights exp(z_r - z) of appendix
    A. If a pair is visible in n hashes, log n is subtracted from its score in each of them. So the
    pair counts once.

    Args:
        heads: Queries [B, H, T, K].
        keys: [B, H, T, K].
        values: [B, H, T, K].
        found: The buckets of the keys.
        chunk: M.
        causal: Whether a query attends only to keys up to its own position.
    """
    contexts, sums = [], []
    for number in range(found.buckets.size(2)):
        context, log_sum = _one_hash(heads, keys, values, found, number, chunk, causal)
        contexts.append(context)
        sums.append(log_sum)
    shares = torch.stack(sums).softmax(0)[..., None]
    return (torch.stack(contexts) * shares).sum(0)


def _one_hash(
    heads: Tensor,
    keys: Tensor,
    values: Tensor,
    found: Buckets,
    number: int,
    chunk: int,
    causal: bool,
) -> tuple[Tensor, Tensor]:
    """Return contexts [B, H, T, K] and log sums of exponentials [B, H, T] of one hash."""
    buckets, ranks = found.buckets[:, :, number], found.ranks[:, :, number]
    sizes = functional.one_hot(buckets, found.count).sum(2)
    chunks = (sizes + chunk - 1) // chunk
    starts = (chunks.cumsum(-1) - chunks) * chunk  # [B, H, buckets]
    slots = starts.gather(-1, buckets) + ranks  # [B, H, T], the slot of each position
    length = heads.size(2)
    total = (-(-length // chunk) + found.count) * chunk
    places = slots.new_full((*slots.shape[:2], total), length)
    numbers = torch.arange(length, device=slots.device).expand_as(slots)
    # [B, H, N, M], the position in each slot; T: empty
    places = places.scatter(-1, slots, numbers).unflatten(-1, (-1, chunk))
    query, key, value = (_placed(part, places) for part in (heads, keys, values))
    wide = [functional.pad(ids, (0, 1)) for ids in (found.buckets, found.ranks // chunk)]
    bucket, order = (_ids(ids, places) for ids in wide)  # [B, H, R, N, M]
    key, value = (_with_last(part, 0.0) for part in (key, value))
    others = _with_last(places[..., None], length)[..., 0][..., None, :]  # [B, H, N, 1, 2M]
    near_bucket, near_order = (
        _with_last(ids.flatten(1, 2)[..., None], -1).view(*ids.shape[:4], 2 * chunk)
        for ids in (bucket, order)
    )
    apart = order[..., None] - near_order[..., None, :]
    visible = (bucket[..., None] == near_bucket[..., None, :]) & ((apart == 0) | (apart == 1))
    visible = visible & (others[:, :, None] < length)
    if causal:
        visible = visible & (others <= places[..., None])[:, :, None]
    scores = at_least_float32(query * query.size(-1) ** -0.5 @ key.mT)
    scores = scores - visible.sum(2).clamp_min(1).type_as(scores).log()
    scores = scores + OWN_SCORE * (others == places[..., None])
    scores = scores.masked_fill(~visible[:, :, number], torch.finfo(scores.dtype).min)
    log_sum = scores.logsumexp(-1)
    context = (scores - log_sum[..., None]).exp().type_as(value) @ value
    back = slots[..., None].expand(-1, -1, -1, context.size(-1))
    return context.flatten(2, 3).gather(2, back), log_sum.flatten(2).gather(2, slots)


def _placed(part: Tensor, places: Tensor) -> Tensor:
    """Return the rows of [B, H, T, K] at positions [B, H, N, M], 0 for position T."""
    wide = functional.pad(part, (0, 0, 0, 1))
    index = places.flatten(2)[..., None].expand(-1, -1, -1, part.size(-1))
    return wide.gather(2, index).unflatten(2, places.shape[2:])


def _ids(ids: Tensor, places: Tensor) -> Tensor:
    """Return ``ids`` [B, H, R, T + 1] at positions [B, H, N, M], [B, H, R, N, M]."""
    index = places.flatten(2)[:, :, None].expand(-1, -1, ids.size(2), -1)
    return ids.gather(-1, index).unflatten(-1, places.shape[2:])


def _with_last(part: Tensor, filling: float) -> Tensor:
    """Join the previous chunk and each chunk of [B, H, N, M, K], [B, H, N, 2M, K]."""
    padded = functional.pad(part, (0, 0, 0, 0, 1, 0), value=filling)
    return torch.cat([padded[:, :, :-1], part], dim=3)
