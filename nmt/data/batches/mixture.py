"""Which pairs of each source an epoch contains: counts by weight and temperature, and shards."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nmt.config.data import DataConfig, FilesDataConfig
from nmt.config.plain import extra_sources
from nmt.data.batches.length_batches import Indices

Ranges = npt.NDArray[np.int64]

_SHARDS_PER_BUFFER = 8  # shards that are shuffled together
_MOST_SHARDS = 1 << 16  # half the maximum per source if all pairs are shuffled together


def source_weights(data: DataConfig) -> list[float]:
    """Return the weight of each source of training text: ``data.train``, then ``data.extra``."""
    own = data.train.weight if isinstance(data, FilesDataConfig) else 1.0
    return [own, *(source.weight for source in extra_sources(data).values())]


def epoch_counts(sizes: Sequence[int], weights: Sequence[float], temperature: float) -> list[int]:
    """Return the number of pairs of each source in an epoch; their sum is ∑ weight · size, rounded.

    The share of a source is proportional to (weight · size)^(1 / temperature), as in Arivazhagan et
    al. 2019; Devlin et al. 2018 use 1 / temperature = 0.7. At temperature 1, an epoch contains a
    source of weight 1 exactly once. A source that would have no pair takes one from the largest.

    Args:
        sizes: Number of pairs of each source.
        weights: How many times an epoch contains each source at temperature 1.
        temperature: At least 1; a higher temperature makes the shares more equal.
    """
    weighted = np.asarray(sizes, dtype=np.float64) * np.asarray(weights, dtype=np.float64)
    total = round(float(weighted.sum()))
    if temperature == 1.0:
        exact = weighted
    else:
        shares = weighted ** (1.0 / temperature)
        exact = total * shares / shares.sum()
    counts = np.floor(exact).astype(np.int64)
    missing = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:missing]] += 1  # the largest remainders
    for unseen in np.flatnonzero((counts == 0) & (weighted > 0)):
        if counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[unseen] = 1
    return [int(count) for count in counts]


def epoch_members(
    sizes: Sequence[int], counts: Sequence[int], buffer: int | None, seed: int, epoch: int
) -> Iterator[Indices]:
    """Yield the pair indices of an epoch in groups; the caller shuffles each group.

    An epoch contains as many full passes over a source as fit into its count. The rest of the count
    is a part of a further pass in a seeded order of shards, which the next epoch continues. So
    after any number of epochs, the use counts of two pairs of a source differ by at most 1.

    Args:
        sizes: Number of pairs of each source; their indices are consecutive.
        counts: Number of pairs of each source in an epoch.
        buffer: Maximum number of pairs per group, made of shards from anywhere; None: one group.
        seed: Seed of the run.
        epoch: Number of the epoch, from 0. The result depends only on the arguments.

    Yields:
        Indices of pairs, 32 bits wide if they fit.
    """
    ranges = _epoch_ranges(sizes, counts, buffer, seed, epoch)
    dtype: type[np.integer] = np.uint32 if sum(sizes) < 1 << 32 else np.int64
    if buffer is None:
        yield _expanded(ranges, dtype)
        return
    ranges = ranges[np.random.default_rng((seed, epoch)).permutation(len(ranges))]
    together = min(_SHARDS_PER_BUFFER, buffer)  # a shard is at least one pair
    for start in range(0, len(ranges), together):
        yield _expanded(ranges[start : start + together], dtype)


def _epoch_ranges(
    sizes: Sequence[int], counts: Sequence[int], buffer: int | None, seed: int, epoch: int
) -> Ranges:
    """Return the ranges of pair indices of an epoch, [ranges, 2], as start and stop."""
    parts, begin = [np.zeros((0, 2), dtype=np.int64)], 0
    for source, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        passes, rest = divmod(count, size) if size else (0, 0)
        if buffer is None:
            shards, whole = _shards(size, max(1, size // _MOST_SHARDS)), _shards(size, size)
        else:
            shards = whole = _shards(size, max(1, buffer // _SHARDS_PER_BUFFER))
        parts += [begin + whole] * passes
        if rest:
            order = np.random.default_rng((seed, source, 0, 1)).permutation(len(shards))
            parts.append(begin + _window(shards[order], epoch * rest % size, rest))
        begin += size
    return np.concatenate(parts)


def _shards(size: int, shard: int) -> Ranges:
    starts = np.arange(0, size, max(1, shard), dtype=np.int64)
    return np.stack([starts, np.minimum(starts + shard, size)], axis=1)


def _window(shards: Ranges, start: int, length: int) -> Ranges:
    """Return the ranges of ``length`` pairs from ``start`` on, in the order of the shards.

    After the last shard, the first one follows.
    """
    ends = np.cumsum(shards[:, 1] - shards[:, 0])
    begins, size = ends - (shards[:, 1] - shards[:, 0]), int(ends[-1])
    parts = []
    for low, high in ((start, min(start + length, size)), (0, start + length - size)):
        first = shards[:, 0] + np.maximum(low - begins, 0)
        last = shards[:, 1] - np.maximum(ends - high, 0)
        parts.append(np.stack([first, last], axis=1)[first < last])
    return np.concatenate(parts)


def _expanded(ranges: Ranges, dtype: type[np.integer]) -> Indices:
    return np.concatenate([np.arange(first, last, dtype=dtype) for first, last in ranges.tolist()])
