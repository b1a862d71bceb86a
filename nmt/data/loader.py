"""The trainer's end of the data: updates as batches of tensors, made here or ahead."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import cycle

from nmt.data.batch import Batch
from nmt.data.batching import BatchingState, UpdateBatches
from nmt.data.loader_process import MakerProcess, ReadyUpdate, Samplers, UpdateMaker
from nmt.errors import UserError

LoadedUpdate = tuple[list[Batch], BatchingState]


class UpdateLoader:
    """An endless stream of updates ready to train on, each with the state behind it.

    The batches are the same bit for bit with any number of processes that make them. ``state`` is
    that of what was taken, never of what is made ahead, and may be set before iterating: iteration
    begins there. With several processes in training, an update may hold fewer batches than others,
    or none, where a batch has fewer rows than there are processes.

    Where samplers are given, every pair is cut anew each epoch; ``batch_tokens`` counts the pieces
    of the corpus, so a batch may hold more than that.
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
            batches: Which pairs come when.
            workers: Processes that make updates ahead; 0: each is made when it is asked for.
            samplers: Of other cuts of source and target.
            max_length: Pieces a sampled cut may have; the corpus's own takes the place of a longer.
            start_method: Of the processes, as `multiprocessing` calls it.

        Raises:
            UserError: The corpus has word links, which belong to its own cuts.
        """
        if samplers is not None and batches.corpus.links is not None:
            raise UserError(
                "tokenizer.sampling cuts words anew, and guided alignment links the pieces as they "
                "were cut: set tokenizer.sampling=0 or training.guided_alignment.weight=0"
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
        """Yield updates from `state` on; `state` then points behind the one yielded."""
        self.close()
        self._stream = self._updates()
        return self._stream

    def close(self) -> None:
        """End the processes; iterating again starts new ones."""
        if self._stream is not None:
            self._stream.close()

    def _updates(self) -> Generator[LoadedUpdate, None, None]:
        with ExitStack() as stack:
            for ready in self._ahead(stack) if self._workers else self._maker.updates(self.state):
                self.state = ready.after
                yield [Batch.of_arrays(arrays) for arrays in ready.batches], ready.after

    def _ahead(self, stack: ExitStack) -> Iterator[ReadyUpdate]:
        """Take updates from processes in turn, each of which makes every n-th."""
        processes = []
        for first in range(self._workers):
            process = MakerProcess(
                self._maker, self.state, first, self._workers, self._start_method
            )
            stack.callback(process.stop)
            processes.append(process)
        for process in cycle(processes):
            yield process.receive()
