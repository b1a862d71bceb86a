"""Finds pairs whose sides look exchanged: the source in the target language, and the reverse.

The check learns both languages from the pairs themselves, so it works for every language. It is a
naive Bayes classifier of the two sides by their character trigrams (Cavnar & Trenkle 1994 identify
languages by such n-grams). The counts that judge a pair do not contain the pair's own texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_LEAST_PAIRS = 200  # fewer pairs do not show what a language looks like
_MOST_SHARE = 0.1  # of the pairs that look right; if more look exchanged, the sides are mixed
_BUCKETS = 1 << 16  # trigrams with the same hash share their counts
_SMOOTHING = 0.5  # added to each count
_BLOCK = 10_000  # pairs that are judged at once, which limits the memory
_LEAST_SIDE = 3.0  # nats in favor of the other language, for each side
_LEAST_PAIR = 12.0  # nats, for both sides together

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def exchanged_pairs(sources: Sequence[str], targets: Sequence[str]) -> list[int]:
    """Return the indices of the pairs whose sides look exchanged, in order.

    Each side of such a pair is more probable in the language of the other side, by a factor of at
    least e^3, and the two factors multiply to at least e^12. A pair looks right if the same is true
    of its own languages. The list is empty for fewer than 200 pairs, or if more than one pair
    looks exchanged for ten that look right: then each side has both languages.

    Args:
        sources: The source sides.
        targets: The target sides, one for each source.
    """
    if len(sources) < _LEAST_PAIRS:
        return []
    counts = _count(sources), _count(targets)
    found: list[int] = []
    right = 0
    for start in range(0, len(sources), _BLOCK):
        block = slice(start, start + _BLOCK)
        sides = _Trigrams.of(sources[block]), _Trigrams.of(targets[block])
        for_target = _log_odds(sides[0], sides, counts)
        for_source = -_log_odds(sides[1], sides, counts)
        found += (start + np.flatnonzero(_both_agree(for_target, for_source))).tolist()
        right += int(_both_agree(-for_target, -for_source).sum())
    return found if len(found) <= _MOST_SHARE * right else []


def _both_agree(first: Floats, second: Floats) -> npt.NDArray[np.bool_]:
    enough = first + second >= _LEAST_PAIR
    return enough & (np.minimum(first, second) >= _LEAST_SIDE)


@dataclass(frozen=True)
class _Trigrams:
    """How often each trigram occurs in each text of a block.

    Attributes:
        texts: Number of texts.
        keys: Sorted: index of the text · `_BUCKETS` + hash of the trigram.
        counts: [keys], how often the text has the trigram.
    """

    texts: int
    keys: Integers
    counts: Integers

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Trigrams":
        owners, hashes = _hashed_trigrams(texts)
        keys, counts = np.unique(owners * _BUCKETS + hashes, return_counts=True)
        return cls(len(texts), keys, counts)

    def sums(self, values: Floats) -> Floats:
        """Return the sum of one value for each key over the keys of each text, [texts]."""
        sums = np.bincount(self.keys // _BUCKETS, weights=values, minlength=self.texts)
        return sums.astype(np.float64, copy=False)

    def looked_up(self, keys: Integers) -> Integers:
        """Return the counts of these keys; 0 for a key that does not occur."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.counts[at], 0)


def _log_odds(
    side: _Trigrams, sides: tuple[_Trigrams, _Trigrams], counts: tuple[Integers, Integers]
) -> Floats:
    """Return log P(text in the target language) - log P(text in the source language), [texts].

    Args:
        side: The texts to judge, one side of a block.
        sides: Both sides of this block; their counts are left out.
        counts: [trigrams] of the source sides and of the target sides of all pairs.
    """
    texts, trigrams = np.divmod(side.keys, _BUCKETS)
    logs = []
    for own, all_counts in zip(sides, counts, strict=True):
        left = all_counts[trigrams] - own.looked_up(side.keys)
        total = all_counts.sum() - own.sums(own.counts.astype(np.float64))[texts]
        logs.append(np.log((left + _SMOOTHING) / (total + _SMOOTHING * _BUCKETS)))
    return side.sums(side.counts * (logs[1] - logs[0]))


def _count(texts: Sequence[str]) -> Integers:
    """Return how often each trigram occurs in all texts, [trigrams]."""
    counts = np.zeros(_BUCKETS, dtype=np.int64)
    for start in range(0, len(texts), _BLOCK):
        hashes = _hashed_trigrams(texts[start : start + _BLOCK])[1]
        counts += np.bincount(hashes, minlength=_BUCKETS)
    return counts


def _hashed_trigrams(texts: Sequence[str]) -> tuple[Integers, Integers]:
    """Return the index of the text and the hash of each trigram; case is ignored.

    Two line feeds stand before the first text, after the last text, and between texts. A trigram
    around a character of a text may contain one or two of them.
    """
    lines = [text.lower().replace("\n", " ") for text in texts]
    joined = "".join(f"\n\n{line}" for line in lines) + "\n\n"
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes = codes.astype(np.uint64)
    inside = codes[1:-1] != ord("\n")
    owners = np.cumsum(codes == ord("\n"))[1:-1] // 2 - 1
    mixed = (codes[:-2] << np.uint64(42)) ^ (codes[1:-1] << np.uint64(21)) ^ codes[2:]
    mixed *= np.uint64(0x9E3779B97F4A7C15)  # multiplicative hashing: the high bits are mixed best
    return owners[inside], (mixed >> np.uint64(48)).astype(np.int64)[inside]
