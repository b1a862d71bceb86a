"""Loads the batches of each update as tensors, on demand or ahead of time."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import cycle

from nmt.data.batches.batch import Batch
from nmt.data.batches.batching import BatchingState, UpdateBatches
from nmt.data.batches.loader_process import MakerProcess, ReadyUpdate, Samplers, UpdateMaker
from nmt.errors import UserError

LoadedUpdate = tuple[list[Batch], BatchingState]


class UpdateLoader:
    """An endless stream of updates ready to train on, each with the state after it.

    The batches are identical for any number of worker processes. ``state`` is the position after
    the updates taken so far; updates made ahead do not count. Set it before iterating to start
    elsewhere. If several processes train, and a batch has fewer rows than there are processes, the
    update of some processes lacks this batch; an update may then have no batch.

    With samplers, every pair is segmented again in each epoch. ``batch_tokens`` counts the pieces
    of the stored segmentation, so a batch may contain more.
    """

    def __init__(
        self,
        batches: UpdateBatches,
        *,
        workers: int = 0,
        samplers: Samplers | None = None,
        max_length: int | None = None,
        start_method: str = "spawn",
    ) -> None:
        """Load the updates of a corpus.

        Args:
            batches: The order of the pairs.
            workers: Number of processes that make updates ahead; 0: make each update on demand.
            samplers: Samplers of the segmentations of source and target; None: the stored ones.
            max_length: Maximum pieces of a sampled segmentation; a longer one is replaced by the
                stored one.
            start_method: Start method of the processes, see `multiprocessing`.

        Raises:
            UserError: The corpus has word links, which belong to the stored segmentation.
        """
        if samplers is not None and batches.corpus.links is not None:
            raise UserError(
                "tokenizer.sampling re-segments words, but guided alignment links the pieces of "
                "the stored segmentation: set tokenizer.sampling=0 or "
                "training.guided_alignment.weight=0"
            )
        self.state = BatchingState()
        self._maker = UpdateMaker(batches, samplers, max_length)
        self._workers = workers
        self._start_method = start_method
        self._stream: Generator[LoadedUpdate, None, None] | None = None

    def __enter__(self) -> "UpdateLoader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[LoadedUpdate]:
        """Yield updates from `state` on; `state` is then the position after the yielded update."""
        self.close()
        self._stream = self._updates()
        return self._stream

    def close(self) -> None:
        """Stop the processes; iterating again starts new ones."""
        if self._stream is not None:
            self._stream.close()

    def _updates(self) -> Generator[LoadedUpdate, None, None]:
        with ExitStack() as stack:
            for ready in self._ahead(stack) if self._workers else self._maker.updates(self.state):
                self.state = ready.after
                yield [Batch.of_arrays(arrays) for arrays in ready.batches], ready.after

    def _ahead(self, stack: ExitStack) -> Iterator[ReadyUpdate]:
        """Yield updates from n processes in turn; each of them makes every n-th update."""
        processes = []
        for first in range(self._workers):
            process = MakerProcess(
                self._maker, self.state, first, self._workers, self._start_method
            )
            stack.callback(process.stop)
            processes.append(process)
        for process in cycle(processes):
            yield process.receive()
