"""What a look at every pair tells, chunk by chunk; worker processes look, one adds up."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import eq

import numpy as np
import numpy.typing as npt

from nmt.data.locations import SHOWN, Place, Tally, excerpt
from nmt.data.shifted_sides import Side
from nmt.data.sources.pair_source import PairChunk, clean_text
from nmt.data.text_hash import hash_pairs, hash_texts
from nmt.data.text_signatures import text_marks
from nmt.data.writing_systems import LEAST_SHARE, expected_script, share_in_script
from nmt.data_check.character_rules import faulty_texts
from nmt.data_check.histograms import COUNT_EDGES, RATIO_EDGES, counted

Key = tuple[str, str | None]
"""A rule, and the side (``source`` or ``target``) that breaks it; None: both together."""

SIDES = ("source", "target")
MOST_WORDS = 200
LONGEST_WORD = 1000
MOST_RATIO = 5.0
_RATIO_FROM = 20  # characters of the longer side
_LEAST_LETTERS = 5
_SATURATED = np.iinfo(np.uint16).max


@dataclass
class SideInspection:
    """One side of some pairs.

    Attributes:
        lengths: Characters of each text, saturated; 0 where it is blank.
        marks: See `marks.text_marks`.
        hashes: Of each text, made fit for training.
        words: How many in all.
        characters: How many in all.
        longest_words: Words of the longest text.
        words_histogram: Texts by words, in bins of `COUNT_EDGES`.
    """

    lengths: npt.NDArray[np.uint16]
    marks: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint64]
    words: int
    characters: int
    longest_words: int
    words_histogram: npt.NDArray[np.int64]


@dataclass
class ChunkInspection:
    """What `inspect_chunk` saw.

    Attributes:
        source_file: As in the chunk.
        target_file: As in the chunk.
        lines: Of each pair; a range where they follow each other.
        source: Its side.
        target: Its side.
        pair_hashes: Of each pair.
        ratio_histogram: Pairs by target characters a source character, in bins of `RATIO_EDGES`.
        highest_ratio: The largest of them.
        found: Broken rules.
    """

    source_file: str
    target_file: str
    lines: range | npt.NDArray[np.uint32]
    source: SideInspection
    target: SideInspection
    pair_hashes: npt.NDArray[np.uint64]
    ratio_histogram: npt.NDArray[np.int64]
    highest_ratio: float
    found: dict[Key, Tally]


def inspect_chunk(chunk: PairChunk, languages: tuple[str, str]) -> ChunkInspection:
    """Look at every pair of a chunk, raw as it is; a pure function."""
    looks = [
        _Look(chunk, side, texts, language)
        for side, texts, language in zip(
            SIDES, (chunk.sources, chunk.targets), languages, strict=True
        )
    ]
    source, target = looks
    found: dict[Key, Tally] = {}
    for look in looks:
        for rule, indices, characters in look.faults():
            tally = found.setdefault((rule, look.side), Tally())
            places = zip(indices[:SHOWN], characters[:SHOWN], strict=True)
            tally.add(len(indices), [look.place(i, at) for i, at in places])
    both_blank = source.blank & target.blank
    for look in looks:
        _note(found, ("blank", look.side), look, np.flatnonzero(look.blank & ~both_blank))
    _note(found, ("both_blank", None), target, np.flatnonzero(both_blank))
    same = compress(range(len(chunk)), map(eq, source.texts, target.texts))
    letters = [i for i in same if any(map(str.isalpha, source.texts[i]))]
    _note(found, ("copy", None), target, letters)
    ratios = _ratios(source.lengths, target.lengths)
    uneven = _uneven(source.lengths, target.lengths)
    if len(uneven):
        shown = [_both(chunk, int(i)) for i in uneven[:SHOWN]]
        found["ratio", None] = Tally(len(uneven), shown)
    known = ratios[ratios > 0]
    return ChunkInspection(
        chunk.source_file,
        chunk.target_file,
        _compact(chunk.lines),
        source.summed(),
        target.summed(),
        hash_pairs(source.texts, target.texts),
        counted(known, RATIO_EDGES),
        float(known.max(initial=0.0)),
        found,
    )


class _Look:
    """One side of a chunk under inspection."""

    def __init__(self, chunk: PairChunk, side: str, raw: Sequence[str], language: str) -> None:
        self.side = side
        self._raw = raw
        self._file = chunk.source_file if side == "source" else chunk.target_file
        self._lines = chunk.lines
        self._own_file = chunk.source_file != chunk.target_file
        self._script = expected_script(language)
        self.texts = list(raw) if "".join(raw).isprintable() else list(map(clean_text, raw))
        self.blank = np.array([not text or text.isspace() for text in self.texts], dtype=bool)
        self.lengths = np.fromiter(map(len, self.texts), dtype=np.int64, count=len(raw))
        self.lengths[self.blank] = 0
        words = np.array([text.count(" ") for text in self.texts], dtype=np.int64) + 1
        words[self.blank] = 0
        self._words = words

    def place(self, index: int, character: int = 0) -> Place:
        return Place(self._file, self._lines[index], excerpt(self._raw[index], character))

    def faults(self) -> Iterator[tuple[str, list[int], list[int]]]:
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

    def summed(self) -> SideInspection:
        return SideInspection(
            np.minimum(self.lengths, _SATURATED).astype(np.uint16),
            text_marks(self.texts),
            hash_texts(self.texts),
            int(self._words.sum()),
            int(self.lengths.sum()),
            int(self._words.max(initial=0)),
            counted(self._words, COUNT_EDGES),
        )


def _note(
    found: dict[Key, Tally], key: Key, look: _Look, indices: Sequence[int] | npt.NDArray[np.int64]
) -> None:
    if len(indices):
        tally = found.setdefault(key, Tally())
        tally.add(len(indices), [look.place(int(i)) for i in indices[:SHOWN]])


def _both(chunk: PairChunk, index: int) -> Place:
    text = f"{excerpt(chunk.sources[index])} | {excerpt(chunk.targets[index])}"
    return Place(chunk.target_file, chunk.lines[index], text)


def _ratios(
    source: npt.NDArray[np.int64], target: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return target characters a source character; 0 where a side is blank."""
    return np.where(source > 0, target / np.maximum(source, 1), 0.0)


def _uneven(source: npt.NDArray[np.int64], target: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    longer, shorter = np.maximum(source, target), np.minimum(source, target)
    return np.flatnonzero((shorter > 0) & (longer > _RATIO_FROM) & (longer > MOST_RATIO * shorter))


def _compact(lines: Sequence[int]) -> range | npt.NDArray[np.uint32]:
    if not lines:
        return range(0)
    if lines[-1] - lines[0] == len(lines) - 1:  # they ascend, so none is left out
        return range(lines[0], lines[-1] + 1)
    return np.asarray(lines, dtype=np.uint32)


@dataclass
class Inspection:
    """All chunks of a split together: about 30 bytes a pair, and the first places of each rule."""

    pairs: int = 0
    found: dict[Key, Tally] = field(default_factory=dict)
    highest_ratio: float = 0.0
    ratio_histogram: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(len(RATIO_EDGES), dtype=np.int64)
    )
    _parts: list[ChunkInspection] = field(default_factory=list)
    _starts: list[int] = field(default_factory=list)

    def absorb(self, part: ChunkInspection) -> None:
        """Add the chunk that follows."""
        self._starts.append(self.pairs)
        self._parts.append(part)
        self.pairs += len(part.pair_hashes)
        self.highest_ratio = max(self.highest_ratio, part.highest_ratio)
        self.ratio_histogram += part.ratio_histogram
        for key, tally in part.found.items():
            self.found.setdefault(key, Tally()).absorb(tally)
        part.found = {}

    def side(self, name: str) -> SideInspection:
        """Return one side of all pairs, ``source`` or ``target``."""
        sides: list[SideInspection] = [getattr(part, name) for part in self._parts]
        histogram = np.zeros(len(COUNT_EDGES), dtype=np.int64)
        for side in sides:
            histogram += side.words_histogram
        return SideInspection(
            _joined([side.lengths for side in sides]).astype(np.uint16, copy=False),
            _joined([side.marks for side in sides]).astype(np.uint8, copy=False),
            _joined([side.hashes for side in sides]).astype(np.uint64, copy=False),
            sum(side.words for side in sides),
            sum(side.characters for side in sides),
            max((side.longest_words for side in sides), default=0),
            histogram,
        )

    def outlines(self, pairs: range) -> tuple[Side, Side]:
        """Return what `shifted.first_shift` asks of both sides of some pairs that follow on."""
        source, target = (
            Side(side.lengths[pairs.start : pairs.stop], side.marks[pairs.start : pairs.stop])
            for side in (self.side(name) for name in SIDES)
        )
        return source, target

    def files(self) -> list[tuple[str, str]]:
        """Return the files of source and target, once each, in the order they were read."""
        return list(dict.fromkeys((part.source_file, part.target_file) for part in self._parts))

    def pairs_of(self, file: str) -> range:
        """Return the pairs with a side in this file."""
        parts = [
            number
            for number, part in enumerate(self._parts)
            if file in (part.source_file, part.target_file)
        ]
        if not parts:
            return range(0)
        last = parts[-1]
        return range(
            self._starts[parts[0]], self._starts[last] + len(self._parts[last].pair_hashes)
        )

    def pair_hashes(self) -> npt.NDArray[np.uint64]:
        """Return the hash of every pair."""
        hashes = _joined([part.pair_hashes for part in self._parts])
        return hashes.astype(np.uint64, copy=False)

    def place(self, index: int, side: str = "target", text: str = "") -> Place:
        """Return where the pair with this number, from 0, stands."""
        part = bisect_right(self._starts, index) - 1
        chunk = self._parts[part]
        file = chunk.source_file if side == "source" else chunk.target_file
        return Place(file, int(chunk.lines[index - self._starts[part]]), text)


def _joined(arrays: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.uint8)
