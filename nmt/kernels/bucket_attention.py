"""Attention within buckets of a hash (Kitaev et al. 2020, section 2), in two formulations.

A key is a query divided by its norm, so both are in the same bucket. The keys of a bucket are cut
into chunks, in the order of their positions. A query attends to its own chunk and the previous one.
`visible_pairs` expresses this as a mask of all pairs; `bucket_attention` computes in chunks.

The paper sorts by bucket and cuts the sorted sequence. So a chunk of the paper may have keys of
several buckets, and depends on later pieces. Here a chunk has keys of one bucket, and the chunk of
a piece depends only on earlier pieces.

Legend: B batch, T length, H heads, K head size, R hashes, M length of a chunk, N chunks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels.precision import at_least_float32, without_autocast

OWN_SCORE = -1e5
"""Added to a query's score for itself: it attends to itself only if it sees no other key."""


@dataclass(frozen=True)
class Buckets:
    """The bucket and the chunk of each position in each hash, [B, H, R, T].

    Attributes:
        buckets: From 0 on; padding has the last one.
        ranks: The number of earlier positions in the same bucket; the chunk is rank // M.
        count: Number of buckets, that of padding included.
    """

    buckets: Tensor
    ranks: Tensor
    count: int


def hash_buckets(keys: Tensor, rotations: Tensor) -> Tensor:
    """Return argmax([x R; -x R]) of keys [B, H, T, K] and rotations [R, K, b / 2], [B, H, R, T]."""
    with without_autocast(keys):
        exact = at_least_float32(keys.detach())
        turned = torch.matmul(exact[:, :, None], rotations.type_as(exact))
    return torch.cat([turned, -turned], dim=-1).argmax(-1)


def ranked_buckets(keys: Tensor, rotations: Tensor, real: Tensor | None) -> Buckets:
    """Return the buckets of keys [B, H, T, K]; ``real`` [B, T] is False at padding."""
    buckets, count = hash_buckets(keys, rotations), 2 * rotations.size(-1)
    if real is not None:
        buckets = buckets.masked_fill(~real[:, None, None], count)
    ordered, order = buckets.sort(dim=-1, stable=True)
    places = torch.arange(keys.size(2), device=keys.device).expand_as(order)
    first = torch.searchsorted(ordered, ordered)
    ranks = torch.empty_like(order).scatter_(-1, order, places - first)
    return Buckets(buckets, ranks, count + 1)


def visible_pairs(found: Buckets, chunk: int, *, causal: bool) -> Tensor:
    """Return in how many hashes each query may attend to each key, [B, H, T, T]."""
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
    """Return the contexts [B, H, T, K] of a softmax over all keys that are visible in some hash.

    The contexts of the hashes are added with the weights exp(z_r - z) of appendix A; if a pair is
    visible in N hashes, its score is reduced by log N in each of them, so that the pair counts
    once.

    Args:
        heads: Queries [B, H, T, K].
        keys: [B, H, T, K].
        values: [B, H, T, K].
        found: Their buckets.
        chunk: M.
        causal: Whether a query attends to keys up to its own position only.
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
    slots = starts.gather(-1, buckets) + ranks  # [B, H, T], where each position goes
    length = heads.size(2)
    total = (-(-length // chunk) + found.count) * chunk
    places = slots.new_full((*slots.shape[:2], total), length)
    numbers = torch.arange(length, device=slots.device).expand_as(slots)
    places = places.scatter(-1, slots, numbers).unflatten(-1, (-1, chunk))  # [B, H, N, M]; T: none
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
    """Return the rows of [B, H, T, K] at places [B, H, N, M], 0 for place T."""
    wide = functional.pad(part, (0, 0, 0, 1))
    index = places.flatten(2)[..., None].expand(-1, -1, -1, part.size(-1))
    return wide.gather(2, index).unflatten(2, places.shape[2:])


def _ids(ids: Tensor, places: Tensor) -> Tensor:
    """Return the numbers [B, H, R, T + 1] at places [B, H, N, M]."""
    index = places.flatten(2)[:, :, None].expand(-1, -1, ids.size(2), -1)
    return ids.gather(-1, index).unflatten(-1, places.shape[2:])


def _with_last(part: Tensor, filling: float) -> Tensor:
    """Return each chunk of [B, H, N, M, K] after the chunk before it, [B, H, N, 2M, K]."""
    padded = functional.pad(part, (0, 0, 0, 0, 1, 0), value=filling)
    return torch.cat([padded[:, :, :-1], part], dim=3)
