"""Softmax attention to some of the keys, computed in blocks. The other keys cost nothing.

Queries and keys are cut into blocks. Each part of a pattern is a product of the queries of a block
and some keys: the keys of near blocks, the keys of some columns, or the keys at the same offset of
all blocks. One softmax normalizes the scores of all parts. The plain formulation is
`nmt.kernels.attention.scaled_dot_product.attention` with a mask of all pairs.

Legend: B batch, T length, H heads, G heads of keys and values, K head size, N blocks, L length of a
block, Y keys of a part, R chosen blocks.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.attention.scaled_dot_product import join_heads
from nmt.kernels.dropout import dropout
from nmt.kernels.precision import at_least_float32


@dataclass(frozen=True)
class Blocks:
    """Queries, keys and values of sentences in blocks; the last block is padded with zeros.

    Attributes:
        query: [B, H, N, L, K], scaled by 1 / sqrt(d_k).
        keys: [B, H, N, L, K].
        values: [B, H, N, L, K].
        real: [B or 1, N, L] bool, False for padding.
        length: T.
    """

    query: Tensor
    keys: Tensor
    values: Tensor
    real: Tensor
    length: int

    @classmethod
    def of(
        cls, query: Tensor, keys: Tensor, values: Tensor, real: Tensor | None, size: int
    ) -> "Blocks":
        """Cut queries [B, H, T, K], keys and values [B, G, T, K] into blocks of L = ``size``.

        ``real`` [B, T] is False for padded keys; None: no padding.
        """
        length = query.size(2)
        groups = query.size(1) // keys.size(1)
        if groups > 1:
            keys, values = (part.repeat_interleave(groups, dim=1) for part in (keys, values))
        if real is None:
            real = torch.ones(1, length, dtype=torch.bool, device=query.device)
        real = functional.pad(real, (0, -length % size), value=False).unflatten(1, (-1, size))
        scaled = query * query.size(-1) ** -0.5
        return cls(_cut(scaled, size), _cut(keys, size), _cut(values, size), real, length)

    @property
    def places(self) -> Tensor:
        """The positions, [N, L]."""
        count, size = self.real.shape[1:]
        return torch.arange(count * size, device=self.real.device).view(count, size)


@dataclass(frozen=True)
class Part:
    """The scores of queries and some keys, and a function that computes the contexts.

    Attributes:
        scores: [B, H, N, L, Y].
        allowed: Broadcastable to the scores, True = may attend.
        contexts: A function from weights [B, H, N, L, Y] to contexts [B, H, N, L, K].
        bias: Added to the scores, broadcastable to them; None: 0.
    """

    scores: Tensor
    allowed: Tensor
    contexts: Callable[[Tensor], Tensor]
    bias: Tensor | None = None


def near_part(
    blocks: Blocks,
    neighbors: int,
    allows: Callable[[Tensor, Tensor], Tensor] | None = None,
    bias: Callable[[Tensor], Tensor] | None = None,
    *,
    causal: bool,
) -> Part:
    """Return the part of the keys in the block of the query and in its neighbors.

    Args:
        blocks: The blocks of the sentences.
        neighbors: The number of blocks before the block of the query, and after it if not causal.
        allows: A function of the offsets of queries [L, 1] and keys [1, Y] from the first position
            of the query's block; returns bool [L, Y] or [H, L, Y]. None: all keys are allowed.
        bias: A function of key minus query position [L, Y]; returns the bias [H, L, Y] of the
            scores.
        causal: Whether a query attends only to keys up to its own position.
    """
    size, device = blocks.query.size(3), blocks.query.device
    before, after = neighbors, 0 if causal else neighbors
    keys = _neighbors(blocks.keys, before, after)
    values = _neighbors(blocks.values, before, after)
    real = _neighbors(blocks.real[:, None, :, :, None], before, after)[..., 0]  # [B, 1, N, Y]
    rows = torch.arange(size, device=device)[:, None]
    columns = torch.arange(-before * size, (after + 1) * size, device=device)[None]
    pairs = columns <= rows  # [L, Y]
    if not causal:
        pairs = torch.ones_like(pairs)
    if allows is not None:
        pairs = pairs & allows(rows, columns)
    pairs = pairs if pairs.dim() == 2 else pairs[:, None]  # [H, 1, L, Y]
    added = None if bias is None else bias(columns - rows)[:, None]
    scores = torch.matmul(blocks.query, keys.transpose(-1, -2))
    allowed = real[:, :, :, None] & pairs
    return Part(scores, allowed, lambda weights: torch.matmul(weights, values), added)


def column_part(blocks: Blocks, keys: Tensor, values: Tensor, allowed: Tensor) -> Part:
    """Return the part of keys and values [B, H, Y, K] that all blocks share.

    ``allowed`` is broadcastable to [B, H, N, L, Y].
    """
    shape = blocks.query.shape[2:4]
    scores = torch.matmul(blocks.query.flatten(2, 3), keys.transpose(-1, -2))

    def contexts(weights: Tensor) -> Tensor:
        return torch.matmul(weights.flatten(2, 3), values).unflatten(2, shape)

    return Part(scores.unflatten(2, shape), allowed, contexts)


def stride_part(blocks: Blocks, allowed: Tensor) -> Part:
    """Return the part of the keys at the same offset of all blocks, Y = N.

    ``allowed`` [N, N] is True if a block of queries (first axis) may attend to a block of keys.
    """
    query, keys, values = (
        part.transpose(2, 3) for part in (blocks.query, blocks.keys, blocks.values)
    )
    scores = torch.matmul(query, keys.transpose(-1, -2)).transpose(2, 3)
    real = blocks.real.transpose(1, 2)[:, None, None]  # [B, 1, 1, L, N]

    def contexts(weights: Tensor) -> Tensor:
        return torch.matmul(weights.transpose(2, 3), values).transpose(2, 3)

    return Part(scores, real & allowed[:, None], contexts)


def chosen_part(blocks: Blocks, chosen: Tensor, allowed: Tensor) -> Part:
    """Return the part of R blocks of keys that are chosen for each block of queries, Y = R · L.

    Args:
        blocks: The blocks of the sentences.
        chosen: [B or 1, N, R], indices of blocks.
        allowed: [B or 1, N, R] bool, whether the queries may attend to the chosen block. They
            never attend to padded keys.
    """
    batch, heads, count, size, width = blocks.keys.shape
    chosen, allowed = (part.expand(batch, -1, -1) for part in (chosen, allowed))
    index = chosen.flatten(1)  # [B, N · R]
    rows = torch.arange(batch, device=index.device)[:, None]

    def gathered(part: Tensor) -> Tensor:  # [B, N, L, H, K] -> [B, H, N, Y, K]
        picked = part.permute(0, 2, 3, 1, 4)[rows, index]
        return picked.unflatten(1, (count, -1)).permute(0, 4, 1, 2, 3, 5).flatten(3, 4)

    keys, values = gathered(blocks.keys), gathered(blocks.values)
    real = blocks.real.expand(batch, -1, -1)[rows, index].unflatten(1, (count, -1))
    usable = (real & allowed[..., None]).flatten(2)[:, None, :, None]  # [B, 1, N, 1, Y]
    scores = torch.matmul(blocks.query, keys.transpose(-1, -2))
    return Part(scores, usable, lambda weights: torch.matmul(weights, values))


def joint_attention(blocks: Blocks, parts: Sequence[Part], dropout_p: float = 0.0) -> Tensor:
    """Return the contexts [B, T, H · K] of a softmax over the keys of all parts.

    At most one part may allow a pair of query and key, because the pair would count twice. A query
    without an allowed key gets a mean of values. Only padded queries have no allowed key.
    """
    scores = [_masked(part) for part in parts]
    joined = scores[0] if len(scores) == 1 else torch.cat(scores, dim=-1)
    weights = dropout(joined.softmax(dim=-1), dropout_p).type_as(blocks.values)
    shares = weights.split([part.scores.size(-1) for part in parts], dim=-1)
    contexts = [part.contexts(share) for part, share in zip(parts, shares, strict=True)]
    return join_heads(sum(contexts[1:], contexts[0]).flatten(2, 3)[:, :, : blocks.length])


def _masked(part: Part) -> Tensor:
    scores = at_least_float32(part.scores)
    if part.bias is not None:
        scores = scores + part.bias
    # The backward pass of the product does not use the scores, so they may be overwritten.
    return scores.masked_fill_(~part.allowed, torch.finfo(scores.dtype).min)


def _cut(part: Tensor, size: int) -> Tensor:
    """Return [B, H, T, K] as blocks [B, H, N, L, K], with zeros after the last position."""
    padded = functional.pad(part, (0, 0, 0, -part.size(2) % size))
    return padded.unflatten(2, (-1, size))


def _neighbors(blocks: Tensor, before: int, after: int) -> Tensor:
    """Join each block of [B, H, N, L, K] with its near blocks, [B, H, N, Y, K]."""
    if not before and not after:
        return blocks
    count = blocks.size(2)
    padded = functional.pad(blocks, (0, 0, 0, 0, before, after))
    return torch.cat([padded[:, :, i : i + count] for i in range(before + 1 + after)], dim=3)


def known_maximum(values: Tensor, bound: float) -> float:
    """Return the greatest value. On a GPU, return ``bound``, so that the host does not wait.

    If a value is not finite, return ``bound``.
    """
    found = float(values.detach().max()) if dispatch.on_cpu(values) else float(bound)
    return found if math.isfinite(found) else float(bound)
