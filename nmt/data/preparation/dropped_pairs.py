"""The number of training pairs that each rule dropped, and the file that lists these pairs."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import numpy as np

from nmt.data.filters import KEPT, RULES, FilterRule, Verdicts
from nmt.durable_file import atomic_write, remedy
from nmt.errors import UserError

_IN_WORDS = {
    FilterRule.BLANK: "a side is blank",
    FilterRule.TOO_LONG: "more pieces than data.max_length",
    FilterRule.MAX_WORDS: "more words than data.filters.max_words",
    FilterRule.MAX_RATIO: "lengths differ by more than data.filters.max_ratio",
    FilterRule.COPY: "both sides are the same",
    FilterRule.SCRIPT: "a side is not in its language's script",
    FilterRule.LANGUAGE: "a side is surely in another language",
    FilterRule.TEST_OVERLAP: "a side is in validation or test",
    FilterRule.DUPLICATE: "repeats an earlier pair",
    FilterRule.NUMBER: "a side is only a number, and the other has words without it",
}


class DropTable:
    """Number of training pairs that each rule dropped."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(RULES), dtype=np.int64)

    def count(self, verdicts: Verdicts) -> None:
        """Count pairs by their final verdicts, [pairs]."""
        self._counts += np.bincount(verdicts, minlength=len(RULES))

    def add(self, rule: FilterRule, number: int) -> None:
        """Add a number of pairs to a rule."""
        self._counts[rule.verdict] += number

    @property
    def kept(self) -> int:
        """Number of pairs that no rule dropped."""
        return int(self._counts[KEPT])

    @property
    def dropped(self) -> int:
        """Number of pairs that a rule dropped."""
        return int(self._counts[KEPT + 1 :].sum())

    def lines(self) -> list[str]:
        """Return the lines of a table, the largest count first; none if nothing was dropped."""
        counts = self.by_count()
        if not counts:
            return []
        pairs = self.kept + self.dropped
        entries = ((rule.value, count, _IN_WORDS[rule]) for rule, count in counts)
        rows = [("dropped", self.dropped, f"of {pairs:,} training pairs"), *entries]
        width, digits = max(len(row[0]) for row in rows), len(f"{self.dropped:,}")
        return [
            f"{rule:<{width}}  {count:>{digits},}  {_percent(count, pairs):>7}  {words}"
            for rule, count, words in rows
        ]

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for the report: ``kept``, and ``dropped`` by rule."""
        dropped = [{"rule": rule.value, "count": count} for rule, count in self.by_count()]
        return {"kept": self.kept, "dropped": dropped}

    def by_count(self) -> list[tuple[FilterRule, int]]:
        """Return the rules that dropped pairs and their counts, the largest count first."""
        counts = zip(RULES, self._counts.tolist(), strict=True)
        dropped = [(rule, count) for rule, count in counts if rule != FilterRule.KEPT and count]
        return sorted(dropped, key=lambda entry: -entry[1])


def _percent(count: int, of: int) -> str:
    share = 100 * count / of
    return "< 0.1 %" if share < 0.05 else f"{share:.1f} %"


class DroppedPairs:
    """A table of dropped pairs; see `dropped_pairs_file`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        file.write(_HEADER)

    def write(self, rule: str, file: str, line: int, source: str, target: str) -> None:
        """Add a pair. Tabs and line breaks inside a text become spaces."""
        cells = (rule, file, str(line), source, target)
        self._file.write("\t".join(cell.translate(_ONE_CELL) for cell in cells) + "\n")


_HEADER = "rule\tfile\tline\tsource\ttarget\n"

# Every character at which str.splitlines splits, so that any reader sees one line per pair.
_ONE_CELL = dict.fromkeys(map(ord, "\t\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")


def check_dropped(path: Path) -> None:
    """Check that the table of dropped pairs would overwrite no other file, e.g. the corpus.

    Raises:
        UserError: The file exists and is not a table of dropped pairs.
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
            f"data.dropped={path} already exists and is not a table of dropped pairs: "
            "choose another file"
        )


@contextmanager
def dropped_pairs_file(path: Path) -> Iterator[DroppedPairs]:
    """Yield a table for dropped pairs; its file exists only if the block succeeds.

    Args:
        path: A .tsv file, or a .tsv.gz file, which is compressed. Missing folders are created.

    Raises:
        UserError: The file cannot be written.
    """
    try:
        with (
            atomic_write(path) as partial,
            partial.open("wb") as raw,
            _compressed(raw, path) as packed,
            _text(packed) as text,
        ):
            yield DroppedPairs(text)
    except OSError as error:
        raise UserError(
            f"data.dropped={path} cannot be written: {error.strerror or error}; {remedy(error)}, "
            "or choose another file"
        ) from error


def _compressed(raw: BinaryIO, path: Path) -> AbstractContextManager[BinaryIO]:
    if path.suffix != ".gz":
        return nullcontext(raw)
    # Without name and time in the header, equal tables give equal files.
    return cast("BinaryIO", gzip.GzipFile("", "wb", 6, raw, mtime=0))


def _text(file: BinaryIO) -> TextIO:
    return io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="\n")
