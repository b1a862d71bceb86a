"""Training pairs that are left out: by which rule, how many, and which ones."""

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import numpy as np
import numpy.typing as npt

from nmt.config.data import FiltersConfig
from nmt.data.language_identification import surely_other
from nmt.data.text_hash import hash_normalized, hash_pairs
from nmt.data.writing_systems import LEAST_SHARE, expected_script, share_in_script
from nmt.errors import UserError

Verdicts = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]

RULES = (
    "kept",
    "blank",
    "too_long",
    "max_words",
    "max_ratio",
    "copy",
    "script",
    "language",
    "test_overlap",
    "duplicate",
)
KEPT = 0
"""A verdict is the number of the first rule in `RULES` that leaves a pair out, or this."""

_NUMBER = {rule: number for number, rule in enumerate(RULES)}
_IN_WORDS = {
    "blank": "a side is blank",
    "too_long": "more pieces than data.max_length",
    "max_words": "more words than data.filters.max_words",
    "max_ratio": "lengths apart by more than data.filters.max_ratio",
    "copy": "both sides are the same",
    "script": "a side is not in its language's script",
    "language": "a side is surely in another language",
    "test_overlap": "a side is in validation or test",
    "duplicate": "was there before",
}

# How many characters of an alphabet say what one of these says.
_DENSITY = {"Han": 3.0, "Japanese": 2.0, "Hangul": 2.0}
_SHORT = 20  # characters: sides up to here may be of any ratio, as "Ja." and "Yes, I do."
_LEAST_WORDS = 4  # of a held-out side whose copies in training count as overlap
_LEAST_CHARACTERS = 10  # ... or of one in a script that is written without spaces
_UNSPACED = ("Japanese", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")


class PairFilters:
    """The rules that look at one pair alone; small enough to send to worker processes.

    Args:
        config: Which rules are on.
        languages: Codes of the source and the target language.
        held_out: What `held_out_hashes` gives for validation and test; for ``test_overlap``.
    """

    def __init__(
        self, config: FiltersConfig, languages: tuple[str, str], held_out: Hashes | None = None
    ) -> None:
        self._config = config
        self._languages = languages
        self._scripts = [expected_script(language) for language in languages]
        self._held_out = np.empty(0, np.uint64) if held_out is None else held_out
        density = [_DENSITY.get(script or "", 1.0) for script in self._scripts]
        self._source_to_target = density[0] / density[1]

    def verdicts(self, sources: Sequence[str], targets: Sequence[str]) -> Verdicts:
        """Return one verdict a pair; ``too_long`` and ``duplicate`` are for others to find.

        Args:
            sources: Texts as `clean_text` leaves them.
            targets: As many.

        Raises:
            UserError: Languages are to be told apart, and that cannot be done.
        """
        pairs = zip(sources, targets, strict=True)
        verdicts = np.array([self._by_form(*pair) for pair in pairs], dtype=np.uint8)
        for rule, is_on, wrong in (
            ("script", self._config.scripts, self._in_wrong_script),
            ("language", self._config.language is not None, self._in_wrong_language),
            ("test_overlap", self._config.test_overlap and self._held_out.size, self._is_held_out),
        ):
            if is_on:
                kept = np.flatnonzero(verdicts == KEPT)
                sides = ([side[i] for i in kept.tolist()] for side in (sources, targets))
                verdicts[kept[wrong(*sides)]] = _NUMBER[rule]
        return verdicts

    def _by_form(self, source: str, target: str) -> int:
        """Judge by what can be seen without reading."""
        config = self._config
        if not source.strip() or not target.strip():
            return _NUMBER["blank"]
        words = config.max_words
        if words is not None and (_exceeds(source, words) or _exceeds(target, words)):
            return _NUMBER["max_words"]
        if config.max_ratio is not None and self._ratio_exceeds(
            len(source), len(target), config.max_ratio
        ):
            return _NUMBER["max_ratio"]
        if config.copies and source.strip() == target.strip():
            return _NUMBER["copy"]
        return KEPT

    def _ratio_exceeds(self, source: int, target: int, ratio: float) -> bool:
        if source <= _SHORT and target <= _SHORT:
            return False
        weighed = source * self._source_to_target
        return weighed > ratio * target or target > ratio * weighed

    def _in_wrong_script(self, sources: list[str], targets: list[str]) -> npt.NDArray[np.bool_]:
        wrong = np.zeros(len(sources), dtype=bool)
        for script, texts in zip(self._scripts, (sources, targets), strict=True):
            if script is not None:
                wrong |= np.array(
                    [share_in_script(text, script) < LEAST_SHARE for text in texts], dtype=bool
                )
        return wrong

    def _in_wrong_language(self, sources: list[str], targets: list[str]) -> npt.NDArray[np.bool_]:
        assert self._config.language is not None
        wrong = np.zeros(len(sources), dtype=bool)
        for language, texts in zip(self._languages, (sources, targets), strict=True):
            wrong |= np.array(surely_other(texts, language, self._config.language), dtype=bool)
        return wrong

    def _is_held_out(self, sources: list[str], targets: list[str]) -> npt.NDArray[np.bool_]:
        return self._among(sources) | self._among(targets)

    def _among(self, texts: list[str]) -> npt.NDArray[np.bool_]:
        hashes = hash_normalized(texts)
        places = np.searchsorted(self._held_out, hashes)
        return self._held_out[np.minimum(places, len(self._held_out) - 1)] == hashes


def held_out_hashes(splits: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Hashes:
    """Return the hashes of the `normalized` sides of validation and test, sorted, each once.

    Sides of fewer than 4 words are left out, so that "Yes." in a test set does not empty the
    training set of it. Where words are not written apart, it is sides of fewer than 10 characters.

    Args:
        splits: The source texts and the target texts of each.
    """
    sides = (text for split in splits for side in split for text in side)
    return np.unique(hash_normalized(text for text in sides if _is_telling(text)))


def duplicate_keys(
    config: FiltersConfig, sources: Sequence[str], targets: Sequence[str]
) -> Hashes | None:
    """Return a number for each pair, equal where pairs count as the same; None if none ever do."""
    if config.duplicates == "keep":
        return None
    if config.duplicates == "exact":
        return hash_pairs(sources, targets)
    # Odd factors keep all 64 bits, and unlike ones keep the sides from standing for each other.
    odd = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)
    return hash_normalized(sources) * odd[0] + hash_normalized(targets) * odd[1]


def first_only(keys: Hashes) -> npt.NDArray[np.bool_]:
    """Return which keys were not there before, in time n log n and 17 bytes more a key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(keys), dtype=bool)
    is_first[order[1:]] = ordered[1:] != ordered[:-1]
    return is_first


def _exceeds(text: str, words: int) -> bool:
    # n words have n - 1 spaces between them: most texts are too short to be worth splitting.
    return len(text) > 2 * words and len(text.split()) > words


def _is_telling(text: str) -> bool:
    if len(text.split()) >= _LEAST_WORDS:
        return True
    if text.isascii() or len(text) < _LEAST_CHARACTERS:
        return False
    return any(share_in_script(text, script) > LEAST_SHARE for script in _UNSPACED)


class DropTable:
    """How many training pairs were left out, by rule."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(RULES), dtype=np.int64)

    def count(self, verdicts: Verdicts) -> None:
        """Add pairs by their final verdicts."""
        self._counts += np.bincount(verdicts, minlength=len(RULES))

    def add(self, rule: str, number: int) -> None:
        """Add pairs to a rule, one of `RULES`."""
        self._counts[_NUMBER[rule]] += number

    @property
    def kept(self) -> int:
        """How many pairs are left."""
        return int(self._counts[KEPT])

    @property
    def dropped(self) -> int:
        """How many pairs were left out."""
        return int(self._counts[KEPT + 1 :].sum())

    def lines(self) -> list[str]:
        """Return a table for people, the rules that dropped most first; no line if none did."""
        entries = self._by_count()
        if not entries:
            return []
        pairs = self.kept + self.dropped
        rows = [("left out", self.dropped, f"of {pairs:,} training pairs"), *entries]
        width, digits = max(len(row[0]) for row in rows), len(f"{self.dropped:,}")
        return [
            f"{rule:<{width}}  {count:>{digits},}  {_percent(count, pairs):>7}  {words}"
            for rule, count, words in rows
        ]

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for the report: ``kept``, and ``dropped`` by rule."""
        dropped = [{"rule": rule, "count": count} for rule, count, _ in self._by_count()]
        return {"kept": self.kept, "dropped": dropped}

    def _by_count(self) -> list[tuple[str, int, str]]:
        counts = zip(RULES, self._counts.tolist(), strict=True)
        dropped = [(rule, count, _IN_WORDS[rule]) for rule, count in counts if rule != "kept"]
        return sorted((entry for entry in dropped if entry[1]), key=lambda entry: -entry[1])


def _percent(count: int, of: int) -> str:
    share = 100 * count / of
    return "< 0.1 %" if share < 0.05 else f"{share:.1f} %"


class DroppedPairs:
    """A table of the pairs that were left out; see `writes_dropped`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        file.write(_HEADER)

    def write(self, rule: str, file: str, line: int, source: str, target: str) -> None:
        """Add a pair. Tabs and line breaks within it become spaces."""
        cells = (rule, file, str(line), source, target)
        self._file.write("\t".join(cell.translate(_ONE_CELL) for cell in cells) + "\n")


_HEADER = "rule\tfile\tline\tsource\ttarget\n"

# All that str.splitlines breaks at, so that every reader sees a line a pair.
_ONE_CELL = dict.fromkeys(map(ord, "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")


def check_dropped(path: Path) -> None:
    """See that no other file would be lost, as the text itself, by writing dropped pairs there.

    Raises:
        UserError: There is something that is no table of dropped pairs.
    """
    if not os.path.exists(path):
        return
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            ours = file.readline(len(_HEADER)) in (b"", _HEADER.encode())
    except (OSError, EOFError, zlib.error):
        ours = False
    if not ours:
        raise UserError(
            f"data.dropped={path} is there already and holds something else than dropped pairs: "
            "name another file"
        )


@contextmanager
def writes_dropped(path: Path) -> Iterator[DroppedPairs]:
    """Give a table to write dropped pairs to, which appears at the end or, after a fault, never.

    Args:
        path: A .tsv file, or .tsv.gz to be compressed; missing folders are made.

    Raises:
        UserError: There is no writing to that place.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = partial.open("wb")
    except OSError as error:
        raise UserError(f"data.dropped={path} cannot be written: {error.strerror}") from error
    try:
        with raw, _packed(raw, path) as packed, _text(packed) as text:
            yield DroppedPairs(text)
        os.replace(partial, path)
    except OSError as error:
        raise UserError(
            f"data.dropped={path} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _packed(raw: BinaryIO, path: Path) -> AbstractContextManager[BinaryIO]:
    if path.suffix != ".gz":
        return nullcontext(raw)
    # Without name and time, equal pairs make equal files.
    return cast("BinaryIO", gzip.GzipFile("", "wb", 6, raw, mtime=0))


def _text(file: BinaryIO) -> TextIO:
    return io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="\n")
