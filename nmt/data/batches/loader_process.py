"""Makes updates ready to train on, in this process or ahead of time in other processes.

This module does not import torch, so that these processes start fast and stay small.
"""

import atexit
import multiprocessing
import pickle
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from random import Random
from typing import Protocol

from nmt.data.batches.batching import BatchingState, UpdateBatches
from nmt.data.batches.length_batches import Indices
from nmt.data.batches.padding import PaddedPairs, RaggedRows, pad_corpus_pairs, with_regions
from nmt.data.encoded import PieceSequences
from nmt.data.preparation.child_signals import signals_blocked
from nmt.errors import UserError
from nmt.text.subword_sampling import position_random


class Sampler(Protocol):
    """Samples a segmentation of a sentence."""

    def sample(self, ids: Sequence[int], random: Random) -> Sequence[int]:
        """Return the piece ids of a sampled segmentation of the same text."""


Samplers = tuple[Sampler, Sampler]


@dataclass(frozen=True)
class ReadyUpdate:
    """The padded batches of one update, and the state after it."""

    batches: list[PaddedPairs]
    after: BatchingState


@dataclass(frozen=True)
class UpdateMaker:
    """Makes updates ready to train on. It has no state, so that all processes make the same ones.

    Attributes:
        batches: The order of the pairs.
        samplers: Samplers for source and target, seeded with (seed, epoch, pair, side); None: the
            stored segmentation.
        max_length: Maximum pieces of a sampled segmentation; the stored one replaces a longer one.
            None: no limit.
    """

    batches: UpdateBatches
    samplers: Samplers | None = None
    max_length: int | None = None

    def updates(self, state: BatchingState, first: int = 0, step: int = 1) -> Iterator[ReadyUpdate]:
        """Yield every ``step``-th update, starting ``first`` updates after a state, endlessly."""
        for planned in islice(self.batches.updates(state), first, None, step):
            shares = [batch for batch in planned.batches if len(batch)]
            yield ReadyUpdate([self._pad(share, planned.epoch) for share in shares], planned.after)

    def _pad(self, indices: Indices, epoch: int) -> PaddedPairs:
        corpus = self.batches.corpus
        if self.samplers is None:
            return pad_corpus_pairs(corpus, indices, self.batches.pad)
        padded = self.batches.pad(
            self._sampled(0, corpus.source, indices, epoch),
            self._sampled(1, corpus.target, indices, epoch),
        )
        return with_regions(padded, corpus, indices)

    def _sampled(
        self, number: int, side: PieceSequences, indices: Indices, epoch: int
    ) -> RaggedRows:
        assert self.samplers is not None
        sampler, rows = self.samplers[number], []
        for index in indices.tolist():
            stored = side[index].tolist()
            random = position_random(self.batches.seed, epoch, index, number)
            sampled = sampler.sample(stored, random)
            too_long = self.max_length is not None and len(sampled) > self.max_length
            rows.append(stored if too_long else sampled)
        return RaggedRows.of(rows)


class MakerProcess:
    """A process that makes updates ahead, until the pipe to the trainer is full.

    It blocks the signals that stop a run, because the trainer handles them. It exits when the
    trainer has exited.
    """

    def __init__(
        self, maker: UpdateMaker, state: BatchingState, first: int, step: int, start_method: str
    ) -> None:
        """Start to make every ``step``-th update, beginning ``first`` updates after a state."""
        context = multiprocessing.get_context(start_method)
        self._reader, writer = context.Pipe(duplex=False)
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_make,
            args=(self._reader, writer, maker, state, first, step),
            name=f"nmt-loader-{first}",
            daemon=True,
        )
        # At exit, multiprocessing waits for this process, which blocks the SIGTERM that it sends.
        atexit.register(self.stop)
        try:
            if start_method != "fork":  # its start unblocks signals, so it must come first
                resource_tracker.ensure_running()
            with signals_blocked():
                self._process.start()
        except BaseException:
            self.stop()
            raise
        finally:
            writer.close()

    def receive(self) -> ReadyUpdate:
        """Wait for the next update and return it.

        Raises:
            Exception: The exception that ended the process, with its traceback as a note.
            UserError: The process has died.
        """
        try:
            message = self._reader.recv_bytes()
        except (EOFError, ConnectionError):
            raise self._death() from None
        ready: ReadyUpdate | Exception = pickle.loads(message)
        if isinstance(ready, Exception):
            raise ready
        return ready

    def stop(self) -> None:
        """Kill the process; calling this again has no effect."""
        atexit.unregister(self.stop)
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._reader.close()

    def _death(self) -> UserError:
        self._process.join(timeout=5)
        code = self._process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
        return UserError(
            f"a process that makes batches ended {how}, often because memory "
            "ran out; the last checkpoint is intact: set data.loader_workers=0 and resume"
        )


def _make(
    reader: Connection,
    writer: Connection,
    maker: UpdateMaker,
    state: BatchingState,
    first: int,
    step: int,
) -> None:
    """Send updates until the reader is closed."""
    reader.close()  # an inherited copy of the trainer's end would hide that the trainer has died
    try:
        try:
            for ready in maker.updates(state, first, step):
                writer.send_bytes(pickle.dumps(ready, protocol=5))
        except ConnectionError:
            raise
        except Exception as error:  # of any type: the trainer raises it again
            writer.send_bytes(_as_message(error))
    except ConnectionError:
        pass


def _as_message(error: Exception) -> bytes:
    """Pickle an exception; a RuntimeError with its text replaces one that cannot be pickled."""
    note = "".join(traceback.format_exception(error))
    try:
        error.add_note(f"in a process that makes batches:\n{note}")
        message = pickle.dumps(error)
        pickle.loads(message)
    except Exception:  # pickling runs code of the exception, which may raise anything
        message = pickle.dumps(RuntimeError(f"in a process that makes batches:\n{note}"))
    return message
