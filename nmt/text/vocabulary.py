"""How small and how large a vocabulary text can give, known before SentencePiece trains on it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
import sentencepiece

from nmt.config.data import TokenizerConfig
from nmt.text.special_tokens import WORD_START

MAX_SENTENCE_BYTES = 1 << 16
"""Longer lines are left out of SentencePiece's training."""

_RESERVED = "\u2585"  # SentencePiece's stand-in for rare characters; it skips lines that have it
_BOUNDARY = "\x1f"  # what it puts in the place of symbols
_LONGEST_PIECE = 16  # characters
_SEEDS = 1_000_000  # the unigram trainer starts from so many pieces at most
_SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_CHUNK = 1000  # sentences whose words are counted in one go
_SMALL = 100_000  # characters of distinct words, up to which their parts are looked at one by one


def vocabulary_bounds(config: TokenizerConfig, sentences: Iterable[str]) -> tuple[int, int]:
    """Return the least and the most pieces that a tokenizer trained on these sentences can have.

    The least is exact: special tokens, symbols, bytes where there is a fallback, and for unigram
    and bpe the characters that ``character_coverage`` demands. The most is exact for char and word;
    for the others it is a bound that is never below what SentencePiece gives.
    """
    return bounds_of_words(config, count_words(sentences))


def count_words(sentences: Iterable[str]) -> Counter[str]:
    """Count what stands between spaces, in the sentences that SentencePiece does not skip.

    Sentences with the mark ``▁`` count as one word: what becomes of it hangs on its neighbours.
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
    """Return what `vocabulary_bounds` does, from words that are counted already."""
    fixed = _fixed_pieces(config)
    counted = _normalized(words, config.normalization, fixed)
    characters = _required_characters(counted, config.character_coverage)
    if config.name == "char":
        return len(fixed), len(fixed) + len(characters)
    if config.name == "word":
        whole = (word for word in counted if characters.issuperset(word))
        return len(fixed), len(fixed) + sum(1 for _ in whole)
    least = len(fixed) + len(characters)
    return least, least + _most_parts(config.name, counted, characters)


def _fixed_pieces(config: TokenizerConfig) -> list[str]:
    """Return the pieces that are in the vocabulary whatever the text."""
    symbols = list(config.symbols)
    if config.name == "word":  # once with the mark of a word's beginning, once without
        symbols += [WORD_START + symbol for symbol in symbols]
    return [*_SPECIALS, *symbols, *(_BYTES if config.byte_fallback else ())]


def _normalized(words: Mapping[str, int], rule: str, fixed: list[str]) -> Counter[str]:
    """Count words as SentencePiece sees them: normalised, with ``▁``, without fixed pieces."""
    normalizer = sentencepiece.SentencePieceNormalizer(
        rule_name=rule,
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
    """Return the most frequent characters that make up this share of the text."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    del counts["\0"]  # not text to SentencePiece
    total, covered, required = counts.total(), 0, set()
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if np.float32(covered / total) >= np.float32(coverage):  # as it compares them
            break
        covered += count
        required.add(character)
    return required - {_BOUNDARY}


def _most_parts(kind: str, words: Mapping[str, int], characters: set[str]) -> int:
    """Return how many pieces of several characters there can be at most.

    Every piece is a part of a word, and one that unigram starts from occurs twice.
    """
    if sum(map(len, words)) > _SMALL:
        parts = sum(_number_of_parts(len(word)) for word in words)
    else:
        counts: Counter[str] = Counter()
        for word, count in words.items():
            for part in _parts(word, characters):
                counts[part] += count
        often = 2 if kind == "unigram" else 1
        parts = sum(count >= often for count in counts.values())
    return min(parts, _SEEDS) if kind == "unigram" else parts


def _number_of_parts(length: int) -> int:
    """Return how many parts of 2 characters or more, as long as a piece may be, a word has."""
    longest = min(length, _LONGEST_PIECE)
    return sum(length - size + 1 for size in range(2, longest + 1))


def _parts(word: str, characters: set[str]) -> Iterator[str]:
    for start in range(len(word)):
        for end in range(start + 1, min(start + _LONGEST_PIECE, len(word)) + 1):
            if word[end - 1] not in characters:
                break
            if end > start + 1:
                yield word[start:end]
