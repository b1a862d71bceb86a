"""Training text is judged once, with the same verdicts for any chunks and processes."""

import functools
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np
import pytest

from nmt.config.filter_settings import FiltersConfig
from nmt.data.corpus import TrainingSource
from nmt.data.filters import RULES, PairFilters
from nmt.data.preparation import chunk_workers
from nmt.data.preparation import judge_training_text as judging
from nmt.data.preparation.encode_training_text import kept_text
from nmt.data.preparation.judge_training_text import ChunkJudge, JudgedText, judge_training_text
from nmt.data.sources.pair_source import FaultSink, PairChunk, refuse
from nmt.data.sources.tagged import TaggedPairs
from nmt.data_check.chunk_inspection import inspect_chunk
from nmt.data_check.inspection import Inspection
from nmt.errors import UserError

INSPECT = functools.partial(inspect_chunk, languages=("en", "de"))
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


def _no_progress(stage: str, done: int, total: int | None) -> None: ...


def _judge(workers: int = 1, filters: FiltersConfig = FILTERS) -> tuple[JudgedText, Inspection]:
    sources = [TrainingSource("data.train", Listed(ONE)), TrainingSource("x", Listed(TWO))]
    judge = ChunkJudge(PairFilters(filters, ("en", "de")), filters, INSPECT)
    inspection = Inspection()
    collect = inspection.absorb
    judged = judge_training_text(sources, judge, workers, _no_progress, collect=collect)
    return judged, inspection


def _rules(judged: JudgedText) -> tuple[list[str], ...]:
    return tuple([RULES[verdict] for verdict in part] for part in judged.verdicts)


def test_each_pair_has_the_rule_that_drops_it_and_the_first_of_equals_is_kept() -> None:
    assert _rules(_judge()[0]) == EXPECTED


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_and_workers_do_not_change_the_result(
    workers: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, whole_inspection = _judge()
    monkeypatch.setattr(judging, "CHUNK", size)
    monkeypatch.setattr(chunk_workers, "_SMALL", 1)
    found, inspection = _judge(workers)
    assert _rules(found) == EXPECTED
    assert found.pairs == whole.pairs == len(ONE) + len(TWO)
    for side in ("source", "target"):
        one, other = inspection.side(side), whole_inspection.side(side)
        np.testing.assert_array_equal(one.hashes, other.hashes)
        assert (one.words, one.longest_words) == (other.words, other.longest_words)


def test_a_dropped_pair_does_not_count_as_the_first_of_equals() -> None:
    """The copy rule drops every ("same", "same"), so none of them is a duplicate."""
    keeps = replace(FILTERS, copies=False)
    judged, _ = _judge(filters=keeps)
    assert _rules(judged)[0][3] == "kept"
    assert _rules(_judge()[0])[0].count("copy") == 1


@dataclass(frozen=True)
class Deadly(ChunkJudge):
    """A judge that kills its process, as the kernel does when memory runs out."""

    def __call__(self, chunk: PairChunk) -> judging.JudgedChunk:
        if parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(chunk)


def test_a_worker_that_is_killed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "CHUNK", 1)
    monkeypatch.setattr(chunk_workers, "_SMALL", 1)
    judge = Deadly(PairFilters(FILTERS, ("en", "de")), FILTERS, INSPECT)
    with pytest.raises(UserError, match=r"was killed.*data\.workers=1"):
        judge_training_text([TrainingSource("x", Listed(ONE))], judge, 2, _no_progress)


def _start_worker(reports: "SimpleQueue[int]") -> None:
    worker = get_context("spawn").Process(target=_work, args=(reports,))
    worker.start()
    time.sleep(60)


def _work(reports: "SimpleQueue[int]") -> None:
    chunk_workers._begin_worker()
    reports.put(os.getpid())
    time.sleep(60)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the process in /proc")
def test_a_worker_ends_when_its_parent_ends_in_any_way() -> None:
    context = get_context("spawn")
    reports: SimpleQueue[int] = context.SimpleQueue()
    parent = context.Process(target=_start_worker, args=(reports,))
    parent.start()
    worker = reports.get()
    parent.kill()
    parent.join()
    for _ in range(500):
        if not _runs(worker):
            break
        time.sleep(0.01)
    assert not _runs(worker)


def _runs(process: int) -> bool:
    """Whether a process exists and is not a zombie."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_tag_is_ignored_by_the_filters() -> None:
    """A tag would hide copies; but pairs with different tags are different pairs."""
    sources = [
        TrainingSource("data.train", Listed(ONE)),
        TrainingSource("x", TaggedPairs(Listed(ONE), "<bt>")),
    ]
    judge = ChunkJudge(PairFilters(FILTERS, ("en", "de")), FILTERS, INSPECT)
    judged = judge_training_text(sources, judge, 1, _no_progress)
    assert _rules(judged) == (EXPECTED[0], EXPECTED[0])
    kept = [text for text, _ in kept_text(sources[1], judged.verdicts[1])]
    assert kept[0].source == ["<bt> a b", "<bt> g"]


@dataclass(frozen=True)
class Watchful(ChunkJudge):
    """A judge that works only if Ctrl-C was blocked before its process started."""

    def __call__(self, chunk: PairChunk) -> judging.JudgedChunk:
        if parent_process() is not None:
            assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        return super().__call__(chunk)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be blocked")
def test_workers_ignore_ctrl_c_from_their_first_instruction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker interrupted during its imports would print a traceback beside the message."""
    monkeypatch.setattr(judging, "CHUNK", 1)
    monkeypatch.setattr(chunk_workers, "_SMALL", 1)
    judge = Watchful(PairFilters(FILTERS, ("en", "de")), FILTERS, INSPECT)
    source = TrainingSource("x", Listed(ONE))
    assert judge_training_text([source], judge, 2, _no_progress).pairs == len(ONE)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
