"""Worker processes that apply a function to the chunks of a corpus; results are in order."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context, parent_process, resource_tracker
from typing import TypeVar

from nmt.data.preparation.child_signals import signals_blocked
from nmt.data.sources.pair_source import PairChunk
from nmt.errors import UserError

Result = TypeVar("Result")

_SMALL = 4  # chunks that are processed before worker processes start


def available_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not available on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_chunks(
    function: Callable[[PairChunk], Result], chunks: Iterator[PairChunk], workers: int | None
) -> Iterator[Result]:
    """Yield the result of the function for each chunk, in order.

    Args:
        function: A function that can be pickled.
        chunks: The chunks. The first 4 are processed in this process.
        workers: Number of processes for the others; None: one per available CPU; 1: no processes.

    Raises:
        UserError: A worker process was killed.
    """
    workers = available_cpus() if workers is None else workers
    yield from map(function, islice(chunks, _SMALL if workers > 1 else None))
    first = next(chunks, None)
    if first is None:
        return
    resource_tracker.ensure_running()  # its start unblocks signals, so it must come first
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker)
    waiting: deque[Future[Result]] = deque()
    try:
        for chunk in chain([first], chunks):
            with signals_blocked():  # submit() may start a worker
                waiting.append(pool.submit(function, chunk))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            "a process that reads the training text was killed, often because memory ran out; "
            "set data.workers=1 and start again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Ignore Ctrl-C, which the main process handles, and exit when the main process is gone."""
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # the pool terminates its workers if one has died
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
