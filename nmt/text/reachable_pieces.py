"""How many pieces the unigram trainer can begin with, counted without training.

SentencePiece itself reports that a vocabulary is too large only after training, which takes
minutes.
"""

from collections.abc import Iterable
from itertools import pairwise


def count_repeats(words: Iterable[str]) -> int:
    """Return the number of seed pieces of the unigram trainer with several characters.

    Seeds are the substrings that several suffixes of the distinct words begin with, and that none
    of these suffixes continues in the same way: the inner nodes of the suffix tree (Abouelhoda et
    al. 2004). The number is an upper bound, because SentencePiece omits some, e.g. long ones.
    """
    suffixes = sorted(word[start:] for word in words for start in range(len(word)))
    open_lengths: list[int] = []
    nodes = 0
    for one, other in pairwise(suffixes):
        common = _common_length(one, other)
        while open_lengths and open_lengths[-1] > common:
            open_lengths.pop()
        if common > 1 and (not open_lengths or open_lengths[-1] < common):
            open_lengths.append(common)
            nodes += 1
    return nodes


def _common_length(one: str, other: str) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
