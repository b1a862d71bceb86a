"""The first reading of the training text: every pair inspected and judged, in worker processes."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import chain, islice
from multiprocessing import get_context, parent_process, resource_tracker

import numpy as np
import numpy.typing as npt

from nmt.config.data import FiltersConfig
from nmt.data.child_signals import signals_held_back
from nmt.data.corpus import TrainingSource
from nmt.data.filters import RULES, PairFilters, duplicate_keys, first_only
from nmt.data.sources.pair_source import FaultSink, PairChunk, clean_text, refuse, with_tag
from nmt.data_check.inspection import ChunkInspection, Inspection, inspect_chunk
from nmt.errors import UserError

CHUNK = 20_000  # pairs read, inspected and encoded together
_SMALL = 4  # chunks that are not worth starting processes for

Progress = Callable[[str, int, int | None], None]
"""Told of a stage's name, the pairs done, and how many there are, where that is known."""


@dataclass(frozen=True)
class Judge:
    """What a worker does with a chunk."""

    filters: PairFilters
    config: FiltersConfig
    languages: tuple[str, str]

    def __call__(self, chunk: PairChunk) -> "JudgedChunk":
        """Inspect a chunk as it stands, and judge its cleaned pairs."""
        sources, targets = cleaned(chunk)
        return JudgedChunk(
            self.filters.verdicts(sources, targets),
            duplicate_keys(self.config, with_tag(sources, chunk.tag), targets),
            inspect_chunk(chunk, self.languages),
        )


@dataclass(frozen=True)
class JudgedChunk:
    """A rule's number for each pair, what tells duplicates, and what was seen."""

    verdicts: npt.NDArray[np.uint8]
    keys: npt.NDArray[np.uint64] | None
    inspection: ChunkInspection


@dataclass(frozen=True)
class Scan:
    """What is known of the training text after one reading.

    Attributes:
        verdicts: Of each source and each of its pairs: 0 kept, else the number of the rule in
            `RULES` that drops it.
        inspection: What was seen in all of them.
    """

    verdicts: tuple[npt.NDArray[np.uint8], ...]
    inspection: Inspection

    @property
    def pairs(self) -> int:
        """Number of pairs read."""
        return sum(map(len, self.verdicts))


def cleaned(chunk: PairChunk) -> tuple[list[str], list[str]]:
    """Return both sides of a chunk, each text fit for training, without the tag."""
    return list(map(clean_text, chunk.sources)), list(map(clean_text, chunk.targets))


def scan(
    sources: Sequence[TrainingSource],
    judge: Judge,
    workers: int | None,
    progress: Progress,
    on_fault: FaultSink = refuse,
) -> Scan:
    """Read all training text once.

    Args:
        sources: What to read.
        judge: What to do with each chunk.
        workers: Processes that judge; None: as many as this one may use CPUs.
        progress: Told after every chunk.
        on_fault: Told of faults in the files.

    Raises:
        UserError: A file is at fault, unless ``on_fault`` says otherwise.
    """
    inspection, verdicts, keys, done = Inspection(), [], [], 0
    for source in sources:
        of_source: list[npt.NDArray[np.uint8]] = []
        for judged in _judged(source.pairs.chunks(CHUNK, on_fault), judge, workers):
            inspection.absorb(judged.inspection)
            of_source.append(judged.verdicts)
            if judged.keys is not None:
                keys.append(judged.keys)
            done += len(judged.verdicts)
            progress("reading", done, None)
        verdicts.append(np.concatenate(of_source or [np.zeros(0, dtype=np.uint8)]))
    if keys:
        verdicts = _without_duplicates(verdicts, np.concatenate(keys))
    return Scan(tuple(verdicts), inspection)


def _without_duplicates(
    verdicts: list[npt.NDArray[np.uint8]], keys: npt.NDArray[np.uint64]
) -> list[npt.NDArray[np.uint8]]:
    """Drop all but the first of pairs with the same key, of those that are not dropped already."""
    joined = np.concatenate(verdicts)
    kept = np.flatnonzero(joined == 0)
    joined[kept[~first_only(keys[kept])]] = RULES.index("duplicate")
    return np.split(joined, np.cumsum([len(part) for part in verdicts])[:-1])


def available_cpus() -> int:
    """Return how many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _judged(
    chunks: Iterator[PairChunk], judge: Judge, workers: int | None
) -> Iterator[JudgedChunk]:
    """Judge chunks in order: the first few here, many in processes of their own."""
    workers = available_cpus() if workers is None else workers
    yield from map(judge, islice(chunks, _SMALL if workers > 1 else None))
    first = next(chunks, None)
    if first is None:
        return
    resource_tracker.ensure_running()  # starting it lets signals through again, so it goes first
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker)
    waiting: deque[Future[JudgedChunk]] = deque()
    try:
        for chunk in chain([first], chunks):
            with signals_held_back():  # this may start a worker
                waiting.append(pool.submit(judge, chunk))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that reads the training text was killed, often for want of memory; "
            "set data.workers=1 and start again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Leave Ctrl-C to the main process, and end with it, even where it is killed."""
    for name in ("SIGINT", "SIGUSR1"):  # what asks to stop is the main process's business
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # by this the pool ends workers when one has died
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
