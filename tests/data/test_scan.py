"""All training text is judged once: alike in any chunks and processes, across all sources."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from nmt.config.data import FiltersConfig
from nmt.data import scan as scanning
from nmt.data.corpus import TrainingSource
from nmt.data.filters import RULES, PairFilters
from nmt.data.scan import Judge, Scan, scan
from nmt.data.sources.interface import FaultSink, PairChunk, refuse

FILTERS = FiltersConfig(
    max_words=4,
    max_ratio=None,
    duplicates="exact",
    copies=True,
    scripts=False,
    language=None,
    test_overlap=False,
)


@dataclass(frozen=True)
class Listed:
    """A source of pairs in memory."""

    pairs: Sequence[tuple[str, str]]
    name: str = "listed"

    def fingerprint(self) -> str:
        return repr(self.pairs)

    def chunks(self, size: int, on_fault: FaultSink = refuse):  # type: ignore[no-untyped-def]
        for start in range(0, len(self.pairs), size):
            part = self.pairs[start : start + size]
            lines = list(range(start + 1, start + 1 + len(part)))
            sides = [list(side) for side in zip(*part, strict=True)]
            yield PairChunk(self.name, self.name, lines, *sides)


ONE = [
    ("a b", "c d"),
    ("", "c"),
    ("a b", "c d"),
    ("same", "same"),
    ("a b c d e", "f"),
    ("g", "h\r"),
]
TWO = [("g", "h"), ("new", "neu"), ("a b", "c d")]
EXPECTED = (
    ["kept", "blank", "duplicate", "copy", "max_words", "kept"],
    ["duplicate", "kept", "duplicate"],
)


def _scan(workers: int = 1, filters: FiltersConfig = FILTERS) -> Scan:
    sources = [TrainingSource("data.train", Listed(ONE)), TrainingSource("x", Listed(TWO))]
    judge = Judge(PairFilters(filters, ("en", "de")), filters, ("en", "de"))
    return scan(sources, judge, workers, lambda stage, done, total: None)


def _rules(scanned: Scan) -> tuple[list[str], ...]:
    return tuple([RULES[verdict] for verdict in part] for part in scanned.verdicts)


def test_each_pair_has_the_rule_that_drops_it_and_the_first_of_equals_is_kept() -> None:
    assert _rules(_scan()) == EXPECTED


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_and_processes_change_nothing(
    workers: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _scan()
    monkeypatch.setattr(scanning, "CHUNK", size)
    monkeypatch.setattr(scanning, "_SMALL", 1)
    found = _scan(workers)
    assert _rules(found) == EXPECTED
    assert found.pairs == whole.pairs == len(ONE) + len(TWO)
    for side in ("source", "target"):
        one, other = found.inspection.side(side), whole.inspection.side(side)
        np.testing.assert_array_equal(one.hashes, other.hashes)
        assert (one.words, one.longest_words) == (other.words, other.longest_words)


def test_a_dropped_pair_does_not_count_as_the_first_of_equals() -> None:
    """Of ("same", "same") the copy rule leaves none, so none is a duplicate either."""
    keeps = replace(FILTERS, copies=False)
    scanned = _scan(filters=keeps)
    assert _rules(scanned)[0][3] == "kept"
    assert _rules(_scan())[0].count("copy") == 1
