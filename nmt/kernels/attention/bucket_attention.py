"""Attention within buckets of a hash (Kitaev et al. 2020, section 2), in two formulations.

A key is its query divided by the norm, so both are in the same bucket. The keys of a bucket are cut
into chunks, in the order of their positions. A query attends to its own chunk and the previous one.
`visible_pairs` returns the mask of all pairs. `bucket_attention` computes in chunks.

The paper sorts all positions by bucket and cuts the sorted sequence. So a chunk of the paper may
have keys of several buckets, and depends on later pieces. Here a chunk has keys of one bucket, and
the chunk of a piece depends only on earlier pieces.

Legend: B batch, T length, H heads, K head size, R hashes, M length of a chunk, N chunks. In search:
A sentences, N beams of each, P slots of keys.
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
    for ids in zip(found.buckets.unbind(2), chunks.unbind(2), strict=True):
        seen = _visible(ids, ids).long()
        total = seen if total is None else total + seen
    assert total is not None
    return total.tril() if causal else total


def _visible(queries: tuple[Tensor, Tensor], keys: tuple[Tensor, Tensor]) -> Tensor:
    """Return whether each query may attend to each key, [..., T, S].

    Both arguments are buckets and numbers of chunks within the bucket, of queries [..., T] and of
    keys [..., S].
    """
    same_bucket = queries[0][..., :, None] == keys[0][..., None, :]
    apart = queries[1][..., :, None] - keys[1][..., None, :]
    return same_bucket & ((apart == 0) | (apart == 1))


def visible_in_step(buckets: Tensor, own: Tensor, past: Tensor, chunk: int) -> Tensor:
    """Return whether the beams of a step of search may attend to the keys so far, [A, H, N, P].

    Args:
        buckets: [A, H, R, P], the buckets of the keys.
        own: [A, 1, N, P], True for the key of the newest piece of each beam.
        past: [A, 1, N, P], True for the keys of all pieces of each beam, the newest included.
        chunk: M.
    """
    theirs = buckets[..., None, :]  # [A, H, R, 1, P]
    # The bucket of the query's own key. The query's hash could differ because of rounding.
    mine = theirs.masked_fill(~own[:, :, None], -1).amax(-1, keepdim=True)  # [A, H, R, N, 1]
    same = (mine == theirs) & past[:, :, None]  # [A, H, R, N, P]
    counts = same.cumsum(-1)
    chunks = (counts - 1).clamp_min(0) // chunk
    own_chunk = (counts[..., -1:] - 1) // chunk
    return (same & (own_chunk - chunks <= 1)).any(2)


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
        chunks = _Chunks.of(found, number, chunk)
        visible = _visible_in_chunks(found, chunks, causal)
        context, log_sum = _one_hash(heads, keys, values, chunks, visible, number)
        contexts.append(context)
        sums.append(log_sum)
    shares = torch.stack(sums).softmax(0)[..., None]
    return (torch.stack(contexts) * shares).sum(0)


@dataclass(frozen=True)
class _Chunks:
    """The chunks of one hash. Each bucket starts a new chunk, so some slots are empty.

    Attributes:
        slots: [B, H, T], the slot of each position, 0 to N · M - 1.
        places: [B, H, N, M], the position in each slot; T: the slot is empty.
        size: M.
    """

    slots: Tensor
    places: Tensor
    size: int

    @classmethod
    def of(cls, found: Buckets, number: int, size: int) -> "_Chunks":
        """Cut the buckets of the hash ``number`` into chunks of M = ``size``."""
        buckets, ranks = found.buckets[:, :, number], found.ranks[:, :, number]
        lengths = functional.one_hot(buckets, found.count).sum(2)
        counts = (lengths + size - 1) // size  # [B, H, buckets], the chunks of each bucket
        starts = (counts.cumsum(-1) - counts) * size  # the first slot of each bucket
        slots = starts.gather(-1, buckets) + ranks
        length = slots.size(2)
        total = (-(-length // size) + found.count) * size  # enough slots for any buckets
        empty = slots.new_full((*slots.shape[:2], total), length)
        positions = torch.arange(length, device=slots.device).expand_as(slots)
        places = empty.scatter(-1, slots, positions).unflatten(-1, (-1, size))
        return cls(slots, places, size)

    def arranged(self, part: Tensor) -> Tensor:
        """Arrange the rows of [B, H, T, K] in slots, [B, H, N, M, K]; 0 in empty slots."""
        wide = functional.pad(part, (0, 0, 0, 1))
        index = self.places.flatten(2)[..., None].expand(-1, -1, -1, part.size(-1))
        return wide.gather(2, index).unflatten(2, self.places.shape[2:])

    def arranged_ids(self, ids: Tensor) -> Tensor:
        """Arrange integers [B, H, R, T] in slots, [B, H, R, N, M]; 0 in empty slots."""
        wide = functional.pad(ids, (0, 1))
        index = self.places.flatten(2)[:, :, None].expand(-1, -1, ids.size(2), -1)
        return wide.gather(-1, index).unflatten(-1, self.places.shape[2:])

    def restored(self, part: Tensor) -> Tensor:
        """Return the rows of [B, H, N, M, K] at their positions, [B, H, T, K]."""
        index = self.slots[..., None].expand(-1, -1, -1, part.size(-1))
        return part.flatten(2, 3).gather(2, index)


def _visible_in_chunks(found: Buckets, chunks: _Chunks, causal: bool) -> Tensor:
    """Return in which hashes each query may attend to its 2M keys, [B, H, R, N, M, 2M]."""
    queries = chunks.arranged_ids(found.buckets), chunks.arranged_ids(found.ranks // chunks.size)
    keys = _with_previous(queries[0], -1), _with_previous(queries[1], -1)
    length = found.buckets.size(-1)
    others = _with_previous(chunks.places, length)[..., None, :]  # [B, H, N, 1, 2M]
    allowed = others < length
    if causal:
        allowed = allowed & (others <= chunks.places[..., None])
    return _visible(queries, keys) & allowed[:, :, None]


def _one_hash(
    heads: Tensor, keys: Tensor, values: Tensor, chunks: _Chunks, visible: Tensor, number: int
) -> tuple[Tensor, Tensor]:
    """Return contexts [B, H, T, K] and log sums of exponentials [B, H, T] of one hash."""
    query = chunks.arranged(heads)  # [B, H, N, M, K]
    key, value = (
        _with_previous(chunks.arranged(part).flatten(3), 0.0).unflatten(3, (2 * chunks.size, -1))
        for part in (keys, values)
    )  # [B, H, N, 2M, K]
    others = _with_previous(chunks.places, heads.size(2))
    own = chunks.places[..., :, None] == others[..., None, :]  # [B, H, N, M, 2M]
    scores = at_least_float32(query * query.size(-1) ** -0.5 @ key.mT)
    scores = scores - visible.sum(2).clamp_min(1).type_as(scores).log()
    scores = scores + OWN_SCORE * own
    scores = scores.masked_fill(~visible[:, :, number], torch.finfo(scores.dtype).min)
    log_sum = scores.logsumexp(-1, keepdim=True)
    context = (scores - log_sum).exp().type_as(value) @ value
    return chunks.restored(context), chunks.restored(log_sum)[..., 0]


def _with_previous(part: Tensor, filling: float) -> Tensor:
    """Join each chunk of [..., N, X] with the previous one, [..., N, 2X]."""
    padded = functional.pad(part, (0, 0, 1, 0), value=filling)
    return torch.cat([padded[..., :-1, :], part], dim=-1)
