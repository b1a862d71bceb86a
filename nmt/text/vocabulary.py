"""Bounds of the vocabulary size for a text, computed before SentencePiece is trained on it."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import islice, pairwise

import numpy as np
import sentencepiece

from nmt.config.tokenizer_settings import SPECIAL_PIECES, TokenizerConfig, TokenizerKind
from nmt.text.normalization import normalization_rule
from nmt.text.special_tokens import WORD_START

MAX_SENTENCE_BYTES = 1 << 16
"""SentencePiece ignores longer lines in training."""

_RESERVED = "\u2585"  # replaces rare characters in SentencePiece, which skips lines with it
_BOUNDARY = "\x1f"  # replaces symbols in SentencePiece
_LONGEST_PIECE = 16  # characters
_SEEDS = 1_000_000  # maximum number of seed pieces of the unigram trainer
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_CHUNK = 1000  # sentences whose words are counted together
_SMALL = 100_000  # maximum characters of distinct words to count their substrings
_LARGE = 4_000_000  # the maximum if ``vocab_size`` may be too large; it takes about 3 s


def vocabulary_bounds(config: TokenizerConfig, sentences: Iterable[str]) -> tuple[int, int]:
    """Return the smallest and the largest vocabulary size for these sentences.

    The smallest size is exact. It counts special tokens, symbols, bytes with byte fallback, and for
    unigram and bpe the characters that ``character_coverage`` requires. The largest size is exact
    for char and word. For the others it is an upper bound.
    """
    return bounds_of_words(config, count_words(sentences))


def count_words(sentences: Iterable[str]) -> Counter[str]:
    """Count the words of the sentences that SentencePiece does not skip.

    A sentence with the character ``▁`` counts as one word, because SentencePiece treats ``▁``
    depending on its neighbors.
    """
    words: Counter[str] = Counter()
    usable = (line.rstrip("\r\n") for line in sentences if _is_usable(line))
    while chunk := list(islice(usable, _CHUNK)):
        marked = [line for line in chunk if WORD_START in line]
        if marked:
            chunk = [line for line in chunk if WORD_START not in line]
        words.update(" ".join(chunk).split(" "))
        words.update(marked)
    del words[""]
    return words


def _is_usable(line: str) -> bool:
    if _RESERVED in line:
        return False
    return 4 * len(line) <= MAX_SENTENCE_BYTES or len(line.encode()) <= MAX_SENTENCE_BYTES


def bounds_of_words(config: TokenizerConfig, words: Mapping[str, int]) -> tuple[int, int]:
    """Return `vocabulary_bounds` for words that are already counted."""
    fixed = _fixed_pieces(config)
    counted = _normalized(words, config.normalization, fixed)
    characters = _required_characters(counted, config.character_coverage)
    if config.name == TokenizerKind.CHAR:
        return len(fixed), len(fixed) + len(characters)
    if config.name == TokenizerKind.WORD:
        whole = (word for word in counted if characters.issuperset(word))
        return len(fixed), len(fixed) + sum(1 for _ in whole)
    least = len(fixed) + len(characters)
    room = max(0, config.vocab_size - least)
    return least, least + _most_parts(config.name, counted, characters, room)


def _fixed_pieces(config: TokenizerConfig) -> list[str]:
    """Return the pieces that every vocabulary contains."""
    symbols = list(config.symbols)
    if config.name == TokenizerKind.WORD:  # with and without the mark of the beginning of a word
        symbols += [WORD_START + symbol for symbol in symbols]
    return [*SPECIAL_PIECES, *symbols, *(_BYTES if config.byte_fallback else ())]


def _normalized(words: Mapping[str, int], rule: str, fixed: list[str]) -> Counter[str]:
    """Return the counts of normalized words with ``▁``, without fixed pieces."""
    with normalization_rule(rule) as argument:
        normalizer = sentencepiece.SentencePieceNormalizer(
            **argument,
            add_dummy_prefix=True,
            remove_extra_whitespaces=True,
            escape_whitespaces=True,
        )
    taken = re.compile("|".join(map(re.escape, sorted(fixed, key=len, reverse=True))))
    counted: Counter[str] = Counter()
    for word, count in zip(normalizer.Normalize(list(words)), words.values(), strict=True):
        text = taken.sub(_BOUNDARY, word)
        if text.rfind(WORD_START) > 0:
            for part in re.findall(f"{WORD_START}[^{WORD_START}]*|[^{WORD_START}]+", text):
                counted[part] += count
        elif text:
            counted[text] += count
    return counted


def _required_characters(words: Mapping[str, int], coverage: float) -> set[str]:
    """Return the most frequent characters, which together cover this share of the text."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    del counts["\0"]  # SentencePiece ignores it
    total, covered, required = counts.total(), 0, set()
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        # SentencePiece compares in float32.
        if np.float32(covered / total) >= np.float32(coverage):
            break
        covered += count
        required.add(character)
    return required - {_BOUNDARY}


def _most_parts(kind: str, words: Mapping[str, int], characters: set[str], room: int) -> int:
    """Return an upper bound on the number of pieces with several characters.

    Each piece is a substring of a word. A seed piece of unigram occurs at least twice. A piece of
    bpe is a pair of neighbors in the text or after a merge. If ``room`` is large, substrings are
    counted in larger texts, too.

    Args:
        kind: The algorithm.
        words: The words and their counts.
        characters: The characters that have a piece.
        room: The number of such pieces that ``vocab_size`` asks for.
    """
    size = sum(map(len, words))
    if size > (_SMALL if 2 * room < len(words) else _LARGE):
        parts = sum(_number_of_parts(len(word)) for word in words)
    else:
        parts = count_parts(words, characters, 2 if kind == TokenizerKind.UNIGRAM else 1)
    if kind == TokenizerKind.UNIGRAM:
        return min(parts, _SEEDS)
    return min(parts, _most_pairs(words))


def _number_of_parts(length: int) -> int:
    """Return the number of substrings, of 2 to 16 characters, of a word with this length."""
    longest = min(length, _LONGEST_PIECE)
    return sum(length - size + 1 for size in range(2, longest + 1))


def _most_pairs(words: Mapping[str, int]) -> int:
    """Return an upper bound on the number of different pairs of neighbors during bpe merges.

    The first pairs are characters. A merge in a word of n parts creates at most 2 pairs, with the
    part before and the part after it; 1 if n = 3, 0 if n = 2. A word of L >= 3 characters has at
    most L - 1 merges, so they create at most 2 L - 5 pairs.
    """
    bigrams = {pair for word in words for pair in pairwise(word)}
    return len(bigrams) + sum(max(0, 2 * len(word) - 5) for word in words)


def count_parts(words: Mapping[str, int], characters: Collection[str], often: int) -> int:
    """Return the number of distinct substrings of the words, of 2 to 16 characters.

    A substring of n + 1 characters is identified by the number of its first n characters and by its
    last character. A substring at only one position is not extended step by step: all of its
    extensions are distinct, so they are counted at once.

    Args:
        words: The words and their counts.
        characters: The allowed characters; all others separate substrings.
        often: Minimum number of occurrences of a substring, 1 or 2.
    """
    text = np.frombuffer(
        ("\0".join(words) + "\0").encode("utf-32-le", "surrogatepass"), dtype=np.uint32
    )
    alphabet = np.array([0, *sorted(ord(c) for c in characters if c != "\0")], dtype=np.uint32)
    code = np.searchsorted(alphabet, text)
    code[code == len(alphabet)] = 0
    code[alphabet[code] != text] = 0
    ends = np.where(code == 0, np.arange(len(code)), len(code))
    ends = np.minimum.accumulate(ends[::-1])[::-1]  # position of the next separator
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words)) + 1
    frequent = np.repeat(np.fromiter(words.values(), np.int64, len(words)) >= often, lengths)
    at = np.flatnonzero(code)
    part, found = code[at], 0
    for size in range(2, _LONGEST_PIECE + 1):
        longer = ends[at] - at >= size
        at, part = at[longer], part[longer]
        keys = part * len(alphabet) + code[at + size - 1]
        _, part, counts = np.unique(keys, return_inverse=True, return_counts=True)
        alone = counts[part] == 1
        single = at[alone & frequent[at]]
        reach = np.minimum(ends[single] - single, _LONGEST_PIECE)
        found += int((counts > 1).sum()) + int((reach - size + 1).sum())
        at, part = at[~alone], part[~alone]
    return found
