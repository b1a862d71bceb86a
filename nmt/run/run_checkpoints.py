"""The checkpoints of a run: written as it goes, and found again by the call that goes on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nmt.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    encode_checkpoint,
    find_checkpoint,
    load_checkpoint,
    write_checkpoint,
)
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.run.folder import RunFolder
from nmt.text.tokenizer import TokenizerPair
from nmt.training import kept_checkpoints
from nmt.training.guard import Earlier
from nmt.training.kept_checkpoints import KeptCheckpoints


class RunCheckpoints:
    """What a trainer saves with, a file at a time or while it goes on.

    A context: at its end the last file is written, or its failure raised.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: Config,
        tokenizers: TokenizerPair,
        say: Callable[[str], None],
    ) -> None:
        """Take over a run folder that no other process writes to.

        Args:
            folder: Of the run; nothing is written yet.
            config: Saved in every file; its training section says which are kept.
            tokenizers: Saved in every file.
            say: Tells people of files that are damaged.
        """
        self._folder, self._config, self._tokenizers, self._say = folder, config, tokenizers, say
        self._kept = KeptCheckpoints(folder.checkpoints, config.training, write_checkpoint)

    def __enter__(self) -> "RunCheckpoints":
        return self

    def __exit__(self, *reason: Any) -> None:
        self._kept.__exit__(*reason)

    def newest(self) -> Checkpoint | None:
        """Return what the run goes on from; None: it has not begun.

        A file that is damaged is named, and the one before it taken.

        Raises:
            UserError: All are damaged; or the newest cannot be read, or is of another version.
        """
        found, damaged = self._first_whole(kept_checkpoints.resumable(self._folder.checkpoints))
        if found is not None:
            self._kept.resume(None if self._folder.last in damaged else found.update)
            self._note_best()
        elif damaged:
            raise UserError(
                f"{self._folder.checkpoints} holds no checkpoint that is whole; nothing was "
                f"changed: put a copy of {kept_checkpoints.LAST} there, or remove "
                f"{', '.join(file.name for file in damaged)} to begin anew"
            )
        return found

    def best(self) -> Checkpoint:
        """Wait until all is written, and return the best model.

        Raises:
            UserError: It cannot be read, or a file could not be written.
        """
        self._kept.wait()
        return load_checkpoint(find_checkpoint(self._folder.path))

    def earlier(self, back: int) -> Earlier | None:
        """Return what a run that has diverged goes back to; None: there is nothing.

        Args:
            back: How many of the newest checkpoints to pass over, of those that are whole and
                hold numbers alone; the oldest of them is never passed over.

        Raises:
            UserError: One cannot be read.
        """
        found = None
        for file in kept_checkpoints.resumable(self._folder.checkpoints):
            try:
                checkpoint = load_checkpoint(file)
            except DamagedCheckpointError as error:
                self._say(f"warning: {error}")
                continue
            weights, training = checkpoint.weights, checkpoint.training
            if training is None or not all(bool(w.isfinite().all()) for w in weights.values()):
                continue
            found = Earlier(file.name, weights, training)
            if back <= 0:
                break
            back -= 1
        return found

    def wait(self) -> None:
        """Wait until all is written.

        Raises:
            UserError: A file could not be.
        """
        self._kept.wait()

    def save(
        self,
        name: str,
        update: int,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Any] | None,
        scores: Mapping[str, float],
    ) -> None:
        """Write a checkpoint, or have it written; see `nmt.training.services.Save`.

        Raises:
            UserError: This write, or in the background an earlier one, has failed.
        """
        settings = self._config.training
        if settings.save_in_background:
            weights, training = kept_checkpoints.copied((weights, training))
        state = Checkpoint(self._config, self._tokenizers, weights, training, scores, update)
        if name == kept_checkpoints.LAST:
            self._kept.save_last(update, lambda: encode_checkpoint(state))
            return
        value = kept_checkpoints.score(scores, settings.best_metric)
        is_best = name == kept_checkpoints.BEST
        self._kept.save_validated(
            update, value, best=is_best, encode=lambda: encode_checkpoint(state)
        )

    def _first_whole(self, files: list[Path]) -> tuple[Checkpoint | None, list[Path]]:
        """Load the first file that is whole; return it and those before it that are not."""
        damaged: list[Path] = []
        for file in files:
            try:
                checkpoint = load_checkpoint(file)
                if checkpoint.training is None or checkpoint.update is None:
                    raise DamagedCheckpointError(
                        f"{file} holds a model alone, and no run to go on with"
                    )
            except DamagedCheckpointError as error:
                damaged.append(file)
                self._say(f"warning: {error}")
            else:
                return checkpoint, damaged
        return None, damaged

    def _note_best(self) -> None:
        """Tell what an earlier call has kept, where a model is measured against it."""
        if self._config.training.keep_best == 1:
            return
        for file in kept_checkpoints.best_files(self._folder.checkpoints):
            try:
                best = load_checkpoint(file)
            except DamagedCheckpointError as error:
                self._say(f"warning: {error}")
                continue
            if best.update is not None:
                value = kept_checkpoints.score(best.metrics, self._config.training.best_metric)
                self._kept.note_best(file, best.update, value)
