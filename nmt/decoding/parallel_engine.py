"""An engine of several processes. Each process has the whole model, on its own device.

The sentences of a call are divided into lists. A process takes the next list when it has finished
one. A translation does not depend on its batch, so the answers equal those of a single process.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from queue import SimpleQueue
from threading import Thread
from typing import Any

from nmt.config.schema import Config
from nmt.decoding.batches import Advance
from nmt.decoding.changed_settings import changed_settings
from nmt.decoding.constrained.constraints import ConstraintEncoder, Constraints
from nmt.decoding.engine import Engine, Loaded
from nmt.decoding.sampling import Sampling
from nmt.decoding.translator import Translation
from nmt.decoding.worker_process import WorkerProcess
from nmt.text.tokenizer import TokenizerPair

LISTS_A_PROCESS = 4
"""Lists per process if a call has many sentences. With more lists, batches are smaller, but the
processes finish at more similar times."""


class ParallelEngine:
    """Processes that have loaded the same model; see `Engine` for the attributes.

    Attributes:
        configs: The settings of each model.
    """

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        """Wait until all processes have loaded their model.

        Raises:
            UserError: A process cannot load its model.
        """
        first, *_ = [worker.ready() for worker in workers]
        self.configs: Sequence[Config] = first.configs
        self.decoding = first.decoding
        self.tokenizers = TokenizerPair.from_bytes(*first.tokenizers)
        self.constraints = ConstraintEncoder(self.tokenizers.target)
        self.processes = len(workers)
        self._attends = first.attends
        self._workers = tuple(workers)

    @property
    def attends(self) -> bool:
        """Whether hypotheses can have attention weights."""
        return self._attends

    def translate(
        self,
        sentences: Sequence[str],
        *,
        need_weights: bool = False,
        sampling: Sampling | None = None,
        numbers: Sequence[int] | None = None,
        wanted: int | None = None,
        constraints: Sequence[Constraints] | None = None,
        advance: Advance = lambda done, share: None,
    ) -> list[Translation]:
        """Translate sentences; see `nmt.decoding.translator.Translator.translate`.

        Raises:
            UserError: Constraints are faulty, or a process failed.
        """
        numbers = range(len(sentences)) if numbers is None else numbers
        found: dict[int, Translation] = {}
        work = sum(map(len, sentences)) or 1
        done = 0

        def call(worker: WorkerProcess, indices: Sequence[int]) -> Any:
            return worker.call(
                "translate",
                self.decoding.beam_size,
                sentences=[sentences[i] for i in indices],
                need_weights=need_weights,
                sampling=sampling,
                numbers=[numbers[i] for i in indices],
                wanted=wanted,
                constraints=None if constraints is None else [constraints[i] for i in indices],
            )

        for indices, answers in self._shared_out(self._lists(sentences), call):
            found.update(zip(indices, answers, strict=True))
            done += sum(len(sentences[i]) for i in indices)
            advance(len(found), done / work)
        return [found[i] for i in range(len(sentences))]

    def _lists(self, sentences: Sequence[str]) -> list[list[int]]:
        """Return the indices of the sentences of each list.

        With many sentences, each list has sentences of similar length, the longest first. With few,
        the lists have equal work.
        """
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]), reverse=True)
        many = len(order) >= LISTS_A_PROCESS * self.processes * self.decoding.batch_size
        lists = self.processes * (LISTS_A_PROCESS if many else 1)
        size = max(1, -(-len(order) // lists))
        if many:
            return [order[start : start + size] for start in range(0, len(order), size)]
        return [part for start in range(lists) if (part := order[start::lists])]

    def _shared_out(
        self, lists: list[list[int]], call: Callable[[WorkerProcess, Sequence[int]], Any]
    ) -> Iterator[tuple[list[int], Any]]:
        """Yield each list with its result, first finished first.

        Raises:
            UserError: A process failed.
        """
        waiting = deque(lists)
        results: SimpleQueue[tuple[list[int], Any]] = SimpleQueue()

        def serve(worker: WorkerProcess) -> None:
            try:
                while True:
                    try:
                        indices = waiting.popleft()
                    except IndexError:
                        return
                    results.put((indices, call(worker, indices)))
            except Exception as error:  # any type: the caller must raise it, not wait
                waiting.clear()
                results.put(([], error))

        threads = [Thread(target=serve, args=(one,), daemon=True) for one in self._workers]
        for thread in threads[: len(lists)]:
            thread.start()
        for _ in lists:
            indices, result = results.get()
            if isinstance(result, Exception):
                raise result
            yield indices, result
        for thread in threads[: len(lists)]:
            thread.join()

    def check_constraints(self, constraints: Sequence[Constraints]) -> None:
        """Check constraints before the first sentence; see `Engine.check_constraints`."""
        self._workers[0].call(
            "check_constraints", self.decoding.beam_size, constraints=list(constraints)
        )

    def with_beam(self, size: int) -> Engine:
        """Return an engine with the same processes and this beam size; see `Engine.with_beam`."""
        other = copy(self)
        other.decoding = changed_settings(self.decoding, {"beam_size": size}, attends=self._attends)
        return other


@contextmanager
def parallel_engine(
    loads: Sequence[Callable[[], Loaded]], names: Sequence[str]
) -> Iterator[ParallelEngine]:
    """Start a process for each device. The processes end with the block.

    Args:
        loads: For each process, a function that loads its engine; it can be pickled.
        names: The name of each device.

    Raises:
        UserError: A process cannot load its engine.
    """
    with ExitStack() as started:
        workers = []
        for name, load in zip(names, loads, strict=True):
            workers.append(WorkerProcess(name, load))
            started.callback(workers[-1].close)
        yield ParallelEngine(workers)
