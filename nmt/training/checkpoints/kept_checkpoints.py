"""Which checkpoints of a run are kept, under which names, and when one is due.

``last.pt`` is always the newest checkpoint, and ``best.pt`` the best model. Other files are named
by their update: ``update-1200.pt`` contains the complete training state, ``best-update-900.pt``
only a model.
`nmt.checkpoint` defines the file format; `nmt.run.checkpoints.run_checkpoints` loads the files
again.
"""

import os
import re
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from torch import Tensor

from nmt.checkpoint_names import BEST, LAST
from nmt.config.training_settings import BestMetric, TrainingConfig
from nmt.durable_file import remove_partial_files
from nmt.errors import UserError

_EARLIER = re.compile(r"update-(\d+)\.pt")
_RUNNER_UP = re.compile(r"best-update-(\d+)\.pt")

Encode = Callable[[], memoryview]
"""Returns the content of a file, made from a state that no longer changes."""

Write = Callable[[memoryview, Path], None]
"""Writes a file so that it is either the old or the complete new one."""


def is_due(training: TrainingConfig, update: int) -> bool:
    """Return whether a checkpoint is due after this update, if the run continues."""
    every = (training.save_every, training.keep_every)
    return any(update % count == 0 for count in every if count is not None)


def score(scores: Mapping[str, float], metric: str) -> float:
    """Return the score of a validation by ``training.best_metric``; larger is better."""
    return -scores[metric] if metric == BestMetric.PERPLEXITY else scores[metric]


def runner_up(update: int) -> str:
    """Return the file name of a model that is among the best but not the best."""
    return f"best-update-{update}.pt"


def resumable(folder: Path) -> list[Path]:
    """Return the files from which a run can be resumed, the newest first."""
    earlier = sorted(_by_update(folder, _EARLIER).items(), reverse=True)
    last = folder / LAST
    return [*([last] if last.exists() else []), *(path for _, path in earlier)]


class KeptCheckpoints:
    """Writes checkpoints and deletes old ones, each only after the new file is safely on the disk.

    With ``training.save_in_background``, a single thread does all writes, because two threads would
    compete for the file names. Otherwise each call returns when its file is written.
    """

    def __init__(self, folder: Path, training: TrainingConfig, write: Write) -> None:
        """Use a folder that no other process writes to.

        Args:
            folder: The run's ``checkpoints``.
            training: How many files are kept, and whether they are written in the background.
            write: Writes a file.
        """
        self._folder, self._training, self._write = folder, training, write
        self._last_update: int | None = None
        self._best_update: int | None = None
        self._scores: dict[int, float] = {}
        self._pending: deque[Future[None]] = deque()
        self._failed = False  # a write in the background
        self._writer = ThreadPoolExecutor(1, "nmt-save") if training.save_in_background else None
        self._cleared = False

    def __enter__(self) -> "KeptCheckpoints":
        return self

    def __exit__(self, exception: type[BaseException] | None, *_: object) -> None:
        """Wait for the last write; raise its error unless another exception is active."""
        try:
            self.wait()
        except UserError:  # of a write; an exception that came first takes precedence
            if exception is None:
                raise
        finally:
            if self._writer is not None:
                self._writer.shutdown()

    def resume(self, last_update: int | None) -> None:
        """Register the update of the existing ``last.pt``; None: the file is damaged.

        This removes the older files that a killed call left behind.
        """
        self._last_update = last_update
        if last_update is not None and (self._folder / LAST).exists():
            self._remove_older(last_update)

    def note_best(self, path: Path, update: int, value: float) -> None:
        """Register a best model that an earlier call has kept, with its update and score."""
        self._scores[update] = value
        if path.name == BEST:
            self._best_update = update

    def remove_beaten(self) -> None:
        """Remove models of earlier calls that are no longer among the best.

        Nothing is removed unless ``best.pt`` is registered.
        """
        if self._best_update is not None:
            self._remove_beaten(self._ranked()[1:])

    def save_last(self, update: int, encode: Encode) -> None:
        """Write ``last.pt``; the previous file is renamed to its update.

        Raises:
            UserError: This write, or the previous one in the background, failed.
        """
        self._run(lambda: self._put_last(update, encode))

    def save_validated(self, update: int, value: float, *, best: bool, encode: Encode) -> None:
        """Write a validated model, if it is among the best.

        Args:
            update: The model's update.
            value: Its score; larger is better.
            best: Whether it is the best of the run, and becomes ``best.pt``.
            encode: Returns its content.

        Raises:
            UserError: This write, or the previous one in the background, failed.
        """
        self._scores[update] = value
        if best:
            before, self._best_update = self._best_update, update
            ranked = self._ranked()
            self._run(lambda: self._put_best(update, before, ranked, encode))
        elif update in (ranked := self._ranked()):
            path = self._folder / runner_up(update)
            self._run(lambda: self._put_runner_up(path, ranked, encode))

    def wait(self) -> None:
        """Wait until all files are written.

        Raises:
            UserError: A file could not be written.
        """
        while self._pending:
            self._pending.popleft().result()

    def _run(self, job: Callable[[], None]) -> None:
        if not self._cleared:
            remove_partial_files(self._folder)  # left behind by a killed write
            self._cleared = True
        if self._writer is None:
            job()
            return
        # After a validation, two files may be due at once. A third one waits, which bounds memory.
        while len(self._pending) > 1 or (self._pending and self._pending[0].done()):
            self._pending.popleft().result()
        self._pending.append(self._writer.submit(self._unless_failed, job))

    def _unless_failed(self, job: Callable[[], None]) -> None:
        """Write, unless an earlier write failed: ``last.pt`` refers to ``best.pt``."""
        if not self._failed:
            self._failed = True
            job()
            self._failed = False

    def _put_last(self, update: int, encode: Encode) -> None:
        content, last = encode(), self._folder / LAST
        if self._last_update not in (None, update) and last.exists():
            _link(last, self._folder / f"update-{self._last_update}.pt")
        self._write(content, last)
        self._last_update = update
        self._remove_older(update)

    def _remove_older(self, update: int) -> None:
        """Remove the files of earlier updates, except those that the settings keep."""
        every = self._training.keep_every
        earlier = _by_update(self._folder, _EARLIER)
        newest = sorted(number for number in earlier if number < update)
        kept = set(newest[max(0, len(newest) - self._training.keep_last + 1) :])
        for number, path in earlier.items():
            permanent = every is not None and number < update and number % every == 0
            if number not in kept and not permanent:
                path.unlink(missing_ok=True)

    def _ranked(self) -> list[int]:
        """Return the updates of the best models, the best first, and discard the others' scores."""
        ranked = sorted(
            self._scores,
            key=lambda update: (update != self._best_update, -self._scores[update], update),
        )[: self._training.keep_best]
        self._scores = {update: self._scores[update] for update in ranked}
        return ranked

    def _put_best(self, update: int, before: int | None, ranked: list[int], encode: Encode) -> None:
        content, best = encode(), self._folder / BEST
        if before is not None and before != update and before in ranked and best.exists():
            _link(best, self._folder / runner_up(before))
        self._write(content, best)
        self._remove_beaten(ranked[1:])

    def _put_runner_up(self, path: Path, ranked: list[int], encode: Encode) -> None:
        self._write(encode(), path)
        self._remove_beaten(ranked[1:])

    def _remove_beaten(self, runners_up: list[int]) -> None:
        for update, path in _by_update(self._folder, _RUNNER_UP).items():
            if update not in runners_up:
                path.unlink(missing_ok=True)


def copied(state: Any, copies: dict[Any, Tensor] | None = None) -> Any:
    """Return nested containers with copies of their tensors on the CPU; shared tensors stay shared.

    Later updates do not change the copies, so they can be written during training.

    Args:
        state: Nested mappings, lists and tuples of tensors and plain values.
        copies: Copies made so far; used by the recursion.
    """
    copies = {} if copies is None else copies
    match state:
        case Tensor():
            tensor = state.detach()
            key = tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()
            if key not in copies:
                copies[key] = tensor.to("cpu", copy=True)
            return copies[key]
        case Mapping():
            return {key: copied(value, copies) for key, value in state.items()}
        case list() | tuple():
            return type(state)(copied(value, copies) for value in state)
    return state


def best_files(folder: Path) -> list[Path]:
    """Return the files of the best models in a folder, in no particular order."""
    best = folder / BEST
    return [*([best] if best.exists() else []), *_by_update(folder, _RUNNER_UP).values()]


def _by_update(folder: Path, name: re.Pattern[str]) -> dict[int, Path]:
    paths = ((name.fullmatch(path.name), path) for path in folder.glob("*.pt"))
    return {int(match[1]): path for match, path in paths if match is not None}


def _link(path: Path, other: Path) -> None:
    """Give a file a second name, under which it stays when the first name is reused."""
    other.unlink(missing_ok=True)
    try:
        os.link(path, other)
    except OSError:  # no hard links here: until the next write the file has only the new name
        path.rename(other)
