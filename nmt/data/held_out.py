"""Takes validation and test out of the training text, so that one file is enough.

Pairs that share a source or a target sentence stay together, so no sentence occurs in two parts. A
text with documents is divided into whole documents. Equal documents stay together, but a sentence
may occur in several parts. The parts depend only on the pairs, the sizes of the parts and the seed,
and not on the direction of translation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nmt.config.data import DataConfig, FilesDataConfig
from nmt.data.sources.fingerprint import fingerprint_parts
from nmt.data.sources.pair_source import FaultSink, PairChunk, PairSource, clean_text, refuse
from nmt.data.text_hash import hash_texts
from nmt.errors import UserError

PARTS = ("train", "valid", "test")
AUTO_SHARE, AUTO_MOST = 0.05, 2000  # the share and the maximum of a part whose setting is 0
CHUNK = 20_000  # pairs

Hashes = npt.NDArray[np.uint64]
Parts = npt.NDArray[np.int8]

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class HeldOut:
    """How many pairs validation and test take.

    Attributes:
        valid: From 1: number of pairs. Below 1: share of the pairs. 0: 5 %, at most 2,000 pairs.
            None: validation is not taken out of the training text.
        test: The same for test.
        seed: Seed of the random choice.
    """

    valid: float | None
    test: float | None
    seed: int


@dataclass(frozen=True)
class PartOfPairs:
    """The pairs of a source that belong to one part.

    Attributes:
        pairs: The whole source.
        held_out: How it is divided.
        part: ``train``, ``valid`` or ``test``.
    """

    pairs: PairSource
    held_out: HeldOut
    part: str

    @property
    def name(self) -> str:
        """The name of the whole source and of the part."""
        return f"{self.pairs.name} ({self.part} part)"

    def fingerprint(self) -> str:
        """Return a hash of the source and of the division.

        Raises:
            UserError: A file cannot be read.
        """
        return fingerprint_parts(
            self.pairs.fingerprint().encode(), repr(self.held_out).encode(), self.part.encode()
        )

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield the pairs of the part; only the training part reports the faults of the files.

        Raises:
            UserError: Too few pairs can be taken out of the text.
        """
        parts = _parts_of(self.pairs, self.held_out)
        wanted = PARTS.index(self.part)
        start = 0
        for chunk in self.pairs.chunks(size, on_fault if wanted == 0 else _ignore):
            chosen = np.flatnonzero(parts[start : start + len(chunk)] == wanted).tolist()
            start += len(chunk)
            if chosen:
                yield chunk.chosen(chosen)


def with_parts(data: DataConfig, sources: Mapping[str, PairSource]) -> dict[str, PairSource]:
    """Return the source of each split, including those taken out of the training text.

    Args:
        data: The settings of the corpus.
        sources: The sources of the splits that have a text of their own.
    """
    held_out = held_out_of(data)
    if held_out is None:
        return dict(sources)
    whole = sources["train"]
    wanted = {"train": 0.0, "valid": held_out.valid, "test": held_out.test}
    parts = {part: PartOfPairs(whole, held_out, part) for part in PARTS if wanted[part] is not None}
    return {**sources, **parts}


def held_out_of(data: DataConfig) -> HeldOut | None:
    """Return how many pairs the settings take out of the training text; None: no pairs."""
    if not isinstance(data, FilesDataConfig):
        return None
    valid, test = (
        None if config is None else config.held_out for config in (data.valid, data.test)
    )
    return None if valid is None and test is None else HeldOut(valid, test, data.split_seed)


def _ignore(fault: object) -> None:
    pass


_computed: dict[tuple[str, HeldOut], Parts] = {}  # of the last source


def _parts_of(source: PairSource, held_out: HeldOut) -> Parts:
    """Return the part of each pair, [pairs]; the last result is kept for the other parts."""
    key = (source.fingerprint(), held_out)
    if key not in _computed:
        chunks = source.chunks(CHUNK, _ignore)
        hashes, documents = [], list[int]()
        for chunk in chunks:
            hashes.append((_hashes(chunk.sources), _hashes(chunk.targets)))
            documents += chunk.documents or ()
        sides = [[one[side] for one in hashes] for side in (0, 1)]
        source_hashes, target_hashes = (
            np.concatenate([np.zeros(0, np.uint64), *side]) for side in sides
        )
        _computed.clear()
        if documents:
            numbers = np.array(documents)
            parts = divide_documents(source_hashes, target_hashes, numbers, held_out)
        else:
            parts = divide(source_hashes, target_hashes, held_out)
        _computed[key] = parts
    return _computed[key]


def _hashes(texts: list[str]) -> Hashes:
    """Return a hash of each text without case and surrounding spaces; 0 for a blank text."""
    clean = [clean_text(text).strip().casefold() for text in texts]
    hashes = hash_texts(clean)
    hashes[np.array([not text for text in clean], dtype=bool)] = 0
    return hashes


def divide(source: Hashes, target: Hashes, held_out: HeldOut) -> Parts:
    """Return the part of each pair, [pairs], as an index into `PARTS`.

    Args:
        source: [pairs], the hash of each source sentence; 0 if it is blank.
        target: [pairs], the hash of each target sentence; 0 if it is blank.
        held_out: How many pairs each part takes. Pairs with a blank side stay in training.

    Raises:
        UserError: A part cannot have enough pairs without sharing a sentence with the rest.
    """
    parts: Parts = np.zeros(len(source), dtype=np.int8)
    used = np.flatnonzero((source != 0) & (target != 0))
    if not len(used):
        return parts
    labels = _components(source[used], target[used])
    keys = _keys(source[used], target[used], held_out.seed)
    _, components, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    first = np.full(len(sizes), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first, components, keys)
    part_of_component = np.zeros(len(sizes), dtype=np.int8)
    order = iter(np.argsort(first, kind="stable").tolist())
    for part in ("test", "valid"):
        wanted = _count(getattr(held_out, part), len(used), part)
        left = wanted
        while left and (component := next(order, None)) is not None:
            # A large group of pairs that share sentences would not represent the text.
            if sizes[component] <= min(left, max(1, wanted // 10)):
                part_of_component[component] = PARTS.index(part)
                left -= int(sizes[component])
        if left:
            raise _too_few(part, getattr(held_out, part), wanted - left, wanted, len(used))
    parts[used] = part_of_component[components]
    return parts


def divide_documents(
    source: Hashes, target: Hashes, documents: npt.NDArray[np.int64], held_out: HeldOut
) -> Parts:
    """Return the part of each pair, [pairs], as an index into `PARTS`, for whole documents.

    A part takes documents until it has enough pairs, so it may have more than that, by less than
    its last document. A document with more than half of all pairs stays in training.

    Args:
        source: [pairs], the hash of each source sentence.
        target: [pairs], the hash of each target sentence.
        documents: [pairs], the number of each pair's document, in ascending order.
        held_out: How many pairs each part takes.

    Raises:
        UserError: The documents are too few or too long.
    """
    first, numbers = np.unique(documents, return_index=True, return_inverse=True)[1:]
    places = (np.arange(len(documents)) - first[numbers]).astype(np.uint64)
    keys = _keys(source, target, held_out.seed) * (np.uint64(2) * places + np.uint64(1))
    signatures = np.add.reduceat(keys, first)[numbers]  # equal for equal documents
    _, labels, sizes = np.unique(signatures, return_inverse=True, return_counts=True)
    part_of_label = np.zeros(len(sizes), dtype=np.int8)
    order = iter(range(len(sizes)))  # the order of signatures is random
    for part in ("test", "valid"):
        left = wanted = _count(getattr(held_out, part), len(documents), part)
        while left > 0 and (label := next(order, None)) is not None:
            if 2 * sizes[label] <= len(documents):
                part_of_label[label] = PARTS.index(part)
                left -= int(sizes[label])
        if left > 0:
            raise UserError(
                f"{_typed(part, getattr(held_out, part))}: the {len(first):,} documents of the "
                f"training text are too few or too long to split off {wanted:,} pairs: give a "
                "file of its own"
            )
    return part_of_label[labels]


def _too_few(part: str, size: float, found: int, wanted: int, pairs: int) -> UserError:
    fewer = f"set data.{part}=split:{found}, or " if found else ""
    return UserError(
        f"{_typed(part, size)}: only {found:,} of {wanted:,} pairs can be split off the {pairs:,} "
        f"training pairs without sharing a sentence with the rest: {fewer}give a file of its own"
    )


def _typed(part: str, size: float) -> str:
    """Return the setting of a part as it is typed on the command line."""
    return f"data.{part}=split{f':{size:g}' if size else ''}"


def _count(size: float | None, pairs: int, part: str) -> int:
    if size is None:
        return 0
    if size == 0:
        return max(1, min(AUTO_MOST, round(pairs * AUTO_SHARE)))
    count = round(size * pairs) if size < 1 else int(size)
    if not 0 < count <= pairs // 2:
        raise UserError(
            f"{_typed(part, size)} is {count:,} of {pairs:,} pairs; it must be at least "
            "one pair and at most half of them"
        )
    return count


def _components(source: Hashes, target: Hashes) -> npt.NDArray[np.int64]:
    """Return a label per pair, [pairs]; it is equal for pairs connected by shared sentences."""
    sides = [np.unique(side, return_inverse=True)[1].reshape(-1) for side in (source, target)]
    labels = np.arange(len(source))
    while True:
        before = labels
        for side in sides:
            least = np.full(int(side.max()) + 1, len(source))
            np.minimum.at(least, side, labels)
            labels = least[side]
        labels = labels[labels]  # follow two links at once: fewer rounds
        if np.array_equal(labels, before):
            return labels


def _keys(source: Hashes, target: Hashes, seed: int) -> Hashes:
    """Return a pseudorandom key of each pair, the same for both directions of translation."""
    low, high = np.minimum(source, target), np.maximum(source, target)
    offset = np.uint64(seed * int(_MIX) % (1 << 64))
    key = low * _MIX ^ (high + offset)
    for shift in (30, 27, 31):
        key = (key ^ (key >> np.uint64(shift))) * np.uint64(0xBF58476D1CE4E5B9)
    return key
