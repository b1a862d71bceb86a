"""How often an epoch goes through each source of pairs, and in which shares and shards."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nmt.config.data import DataConfig, FilesDataConfig
from nmt.config.plain import extra_sources
from nmt.data.length_batches import Indices

Ranges = npt.NDArray[np.int64]

_SHARDS_A_BUFFER = 8
_FINEST = 1 << 16  # shards a source is cut into at most where everything is shuffled together


def source_weights(data: DataConfig) -> list[float]:
    """Return the weight of each source of training text: the corpus's own, then ``data.extra``."""
    own = data.train.weight if isinstance(data, FilesDataConfig) else 1.0
    return [own, *(source.weight for source in extra_sources(data).values())]


def epoch_counts(sizes: Sequence[int], weights: Sequence[float], temperature: float) -> list[int]:
    """Return how many pairs of each source an epoch holds; they sum to all weighted pairs.

    A source's share is proportional to ``(weight * size) ** (1 / temperature)``: the sampling of
    Arivazhagan et al. 2019, which Devlin et al. 2018 have with 1 / temperature = 0.7. At
    temperature 1 a source of weight 1 is seen exactly once, and one that is not empty always a
    little.

    Args:
        sizes: Pairs of each source.
        weights: How many times a source would be seen an epoch at temperature 1.
        temperature: 1 or more; the higher, the more alike the shares.
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
    """Yield the pairs of an epoch in groups to be shuffled, each unshuffled itself.

    Of each source come as many whole passes as there are in its count. The rest goes on from epoch
    to epoch along a seeded order of its shards, so that over any number of epochs no pair of a
    source is seen more than once more than another.

    Args:
        sizes: Pairs of each source; the indices of the next begin where one's end.
        counts: Pairs of each source in an epoch.
        buffer: Pairs of a group at most, made of shards from anywhere; None: all in one group.
        seed: Of the run.
        epoch: From 0. What is yielded is a function of all the arguments alone.

    Yields:
        Indices of pairs, in 32 bits where they fit.
    """
    ranges = _epoch_ranges(sizes, counts, buffer, seed, epoch)
    kind: type[np.integer] = np.uint32 if sum(sizes) < 1 << 32 else np.int64
    if buffer is None:
        yield _expanded(ranges, kind)
        return
    ranges = ranges[np.random.default_rng((seed, epoch)).permutation(len(ranges))]
    for start in range(0, len(ranges), _SHARDS_A_BUFFER):
        yield _expanded(ranges[start : start + _SHARDS_A_BUFFER], kind)


def _epoch_ranges(
    sizes: Sequence[int], counts: Sequence[int], buffer: int | None, seed: int, epoch: int
) -> Ranges:
    """Return the runs of pairs that make up an epoch, [ranges, 2], first and behind the last."""
    parts, begin = [np.zeros((0, 2), dtype=np.int64)], 0
    for source, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        passes, rest = divmod(count, size) if size else (0, 0)
        if buffer is None:
            shards, whole = _shards(size, max(1, size // _FINEST)), _shards(size, size)
        else:
            shards = whole = _shards(size, max(1, buffer // _SHARDS_A_BUFFER))
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
    """Cut ``length`` pairs out of joined shards from ``start`` on, going round at the end."""
    ends = np.cumsum(shards[:, 1] - shards[:, 0])
    begins, size = ends - (shards[:, 1] - shards[:, 0]), int(ends[-1])
    parts = []
    for low, high in ((start, min(start + length, size)), (0, start + length - size)):
        first = shards[:, 0] + np.maximum(low - begins, 0)
        last = shards[:, 1] - np.maximum(ends - high, 0)
        parts.append(np.stack([first, last], axis=1)[first < last])
    return np.concatenate(parts)


def _expanded(ranges: Ranges, kind: type[np.integer]) -> Indices:
    return np.concatenate([np.arange(first, last, dtype=kind) for first, last in ranges.tolist()])
