"""Inspects a chunk of pairs: counts, hashes and broken rules. Worker processes run this."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import eq

import numpy as np
import numpy.typing as npt

from nmt.data.locations import SHOWN, Location, excerpt
from nmt.data.number_sides import is_number_with_words
from nmt.data.sources.pair_source import PairChunk
from nmt.data.text_hash import hash_pairs, hash_texts
from nmt.data.writing_systems import LEAST_SHARE, expected_script, share_in_script
from nmt.data_check.character_rules import faulty_texts
from nmt.data_check.histograms import COUNT_EDGES, RATIO_EDGES, counted
from nmt.data_check.occurrences import Occurrences

Key = tuple[str, str | None]
"""A rule and the side that breaks it, ``source`` or ``target``; None: both sides together."""

MOST_WORDS = 200  # rule many_words
LONGEST_WORD = 1000  # characters; rule long_word
MOST_RATIO = 5.0  # longer side / shorter side; rule ratio
_RATIO_FROM = 20  # characters; the rule ratio ignores pairs without a longer side
_LEAST_LETTERS = 5  # the rule wrong_script ignores texts with fewer letters


@dataclass
class SideInspection:
    """The inspection of one side of some pairs.

    Attributes:
        hashes: [pairs], the hash of each cleaned text.
        words: Total number of words.
        characters: Total number of characters.
        longest_words: Number of words of the longest text.
        words_histogram: Number of texts by their number of words, in the bins of `COUNT_EDGES`.
        beyond_ascii: Occurrences of each character beyond ASCII; empty for the source side.
    """

    hashes: npt.NDArray[np.uint64]
    words: int
    characters: int
    longest_words: int
    words_histogram: npt.NDArray[np.int64]
    beyond_ascii: dict[str, int] = field(default_factory=dict)


@dataclass
class ChunkInspection:
    """The result of `inspect_chunk`.

    Attributes:
        source: The source side.
        target: The target side.
        pair_hashes: [pairs], the hash of each pair.
        ratio_histogram: Number of pairs by their ratio, target / source characters, in the bins of
            `RATIO_EDGES`.
        highest_ratio: The largest ratio.
        found: The broken rules.
    """

    source: SideInspection
    target: SideInspection
    pair_hashes: npt.NDArray[np.uint64]
    ratio_histogram: npt.NDArray[np.int64]
    highest_ratio: float
    found: dict[Key, Occurrences]


def inspect_chunk(
    raw: PairChunk, clean: PairChunk, *, languages: tuple[str, str]
) -> ChunkInspection:
    """Inspect all pairs of a chunk; a pure function.

    Args:
        raw: The chunk as it was read.
        clean: The same chunk after `clean_chunk`.
        languages: Codes of the source and the target language.
    """
    source = _ChunkSide(raw, "source", raw.sources, clean.sources, languages[0])
    target = _ChunkSide(raw, "target", raw.targets, clean.targets, languages[1])
    sides = source, target
    found: dict[Key, Occurrences] = {}
    for side in sides:
        for rule, indices, characters in side.faults():
            at = zip(indices[:SHOWN], characters[:SHOWN], strict=True)
            occurrences = found.setdefault((rule, side.name), Occurrences())
            occurrences.add(len(indices), [side.location(i, character) for i, character in at])
    both_blank = source.blank & target.blank
    for side in sides:
        _note(found, ("blank", side.name), side, np.flatnonzero(side.blank & ~both_blank))
    _note(found, ("both_blank", None), target, np.flatnonzero(both_blank))
    _note(found, ("copy", None), target, _copies(source.texts, target.texts))
    both_texts = zip(source.texts, target.texts, strict=True)
    numbers = [i for i, pair in enumerate(both_texts) if is_number_with_words(*pair)]
    uneven = _uneven(source.lengths, target.lengths).tolist()
    for rule, indices in (("number_only", numbers), ("ratio", uneven)):
        if indices:
            shown = [_both_sides(raw, i) for i in indices[:SHOWN]]
            found[rule, None] = Occurrences(len(indices), shown)
    ratios = _ratios(source.lengths, target.lengths)
    known = ratios[ratios > 0]
    return ChunkInspection(
        source.summary(),
        target.summary(),
        hash_pairs(source.texts, target.texts),
        counted(known, RATIO_EDGES),
        float(known.max(initial=0.0)),
        found,
    )


class _ChunkSide:
    """One side of the chunk that is inspected."""

    def __init__(
        self, chunk: PairChunk, name: str, raw: list[str], texts: list[str], language: str
    ) -> None:
        self.name = name
        self.texts = texts
        self._raw = raw
        self._file = chunk.source_file if name == "source" else chunk.target_file
        self._lines = chunk.lines
        self._own_file = chunk.source_file != chunk.target_file
        self._script = expected_script(language)
        self.blank = np.array([not text or text.isspace() for text in texts], dtype=bool)
        self.lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        self.lengths[self.blank] = 0
        self._words = np.array([text.count(" ") for text in texts], dtype=np.int64) + 1
        self._words[self.blank] = 0

    def location(self, index: int, character: int = 0) -> Location:
        return Location(self._file, self._lines[index], excerpt(self._raw[index], character))

    def faults(self) -> Iterator[tuple[str, list[int], list[int]]]:
        """Yield each broken rule, the indices of texts, and of the character in each."""
        yield from faulty_texts(self._raw, own_file=self._own_file)
        for rule, found in (
            ("many_words", np.flatnonzero(self._words > MOST_WORDS).tolist()),
            ("long_word", self._with_long_word()),
            ("wrong_script", self._in_wrong_script()),
        ):
            if found:
                yield rule, found, [0] * len(found)

    def _with_long_word(self) -> list[int]:
        candidates = np.flatnonzero(self.lengths > LONGEST_WORD).tolist()
        return [i for i in candidates if max(map(len, self.texts[i].split())) > LONGEST_WORD]

    def _in_wrong_script(self) -> list[int]:
        script = self._script
        if script is None:
            return []
        latin = script == "Latin"
        return [
            i
            for i, text in enumerate(self.texts)
            if not (latin and text.isascii())
            and share_in_script(text, script) < LEAST_SHARE
            and sum(map(str.isalpha, text)) >= _LEAST_LETTERS
        ]

    def summary(self) -> SideInspection:
        return SideInspection(
            hash_texts(self.texts),
            int(self._words.sum()),
            int(self.lengths.sum()),
            int(self._words.max(initial=0)),
            counted(self._words, COUNT_EDGES),
            count_characters(self.texts) if self.name == "target" else {},
        )


def count_characters(texts: Sequence[str]) -> dict[str, int]:
    """Return the number of occurrences of each character beyond ASCII."""
    whole = "".join(texts)
    if whole.isascii():
        return {}
    codes = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    counts = np.bincount(codes[codes > 127])
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts).tolist()}


def _note(
    found: dict[Key, Occurrences],
    key: Key,
    side: _ChunkSide,
    indices: Sequence[int] | npt.NDArray[np.int64],
) -> None:
    if len(indices):
        occurrences = found.setdefault(key, Occurrences())
        occurrences.add(len(indices), [side.location(int(i)) for i in indices[:SHOWN]])


def _copies(sources: list[str], targets: list[str]) -> list[int]:
    """Return the indices of the pairs whose sides are equal and contain a letter."""
    same = compress(range(len(sources)), map(eq, sources, targets))
    return [i for i in same if any(map(str.isalpha, sources[i]))]


def _both_sides(chunk: PairChunk, index: int) -> Location:
    text = f"{excerpt(chunk.sources[index])} | {excerpt(chunk.targets[index])}"
    return Location(chunk.target_file, chunk.lines[index], text)


def _ratios(
    source: npt.NDArray[np.int64], target: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the ratio target / source characters, [pairs]; 0 if a side is blank."""
    return np.where(source > 0, target / np.maximum(source, 1), 0.0)


def _uneven(source: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    longer, shorter = np.maximum(source, target), np.minimum(source, target)
    return np.flatnonzero((shorter > 0) & (longer > _RATIO_FROM) & (longer > MOST_RATIO * shorter))
