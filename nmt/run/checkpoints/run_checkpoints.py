"""Saves the checkpoints of a run during training, and loads them when the run is resumed.

`nmt.checkpoint` defines the file format. `nmt.training.checkpoints.kept_checkpoints` decides which
files are kept, and names them.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from nmt import processes
from nmt.checkpoint import (
    Checkpoint,
    DamagedCheckpointError,
    encode_checkpoint,
    find_checkpoint,
    load_checkpoint,
    write_checkpoint,
)
from nmt.checkpoint_names import BEST, LAST
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.model.seq2seq import TranslationModel
from nmt.run.folder import RunFolder
from nmt.text.tokenizer import TokenizerPair
from nmt.training.checkpoints import kept_checkpoints
from nmt.training.checkpoints.kept_checkpoints import KeptCheckpoints
from nmt.training.checkpoints.saved_state import check_state
from nmt.training.guard import EarlierCheckpoint


@contextmanager
def explained_state(file: Path | None) -> Iterator[None]:
    """Turn the errors from a training state that does not fit into a `UserError` of one line.

    Args:
        file: The checkpoint that contains the state.

    Raises:
        UserError: The state has other parts, types or shapes than this run.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        reason = " ".join(str(e).split())[:200]
        raise UserError(
            f"{file} cannot be used: its training state does not fit this run ({reason}); move it "
            "away to resume from an earlier checkpoint"
        ) from e


class RunCheckpoints:
    """Loads and saves the checkpoints of a run; saves in the background with that setting.

    It is a context manager. Its exit waits for the last write and raises the error of that write.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: Config,
        tokenizers: TokenizerPair,
        report: Callable[[str], None],
        model: TranslationModel | None = None,
    ) -> None:
        """Use a run folder to which no other process writes.

        Args:
            folder: The run folder; nothing is written yet.
            config: The settings to save in each file; ``training`` determines which files are kept.
            tokenizers: The tokenizers to save in each file.
            report: Prints warnings about damaged files.
            model: The model in training. A checkpoint whose training state does not fit this model
                counts as damaged.
        """
        self._folder, self._config, self._tokenizers = folder, config, tokenizers
        self._report, self._model = report, model
        self._kept = KeptCheckpoints(folder.checkpoints, config.training, write_checkpoint)

    def __enter__(self) -> "RunCheckpoints":
        return self

    def __exit__(self, *reason: Any) -> None:
        self._kept.__exit__(*reason)

    def newest(self) -> Checkpoint | None:
        """Return the checkpoint from which to resume; None: the run has no checkpoint.

        Damaged files are reported and skipped, from the newest on.

        Raises:
            UserError: All files are damaged, a file cannot be read, or another version wrote it.
        """
        if processes.is_first():
            self._folder.restore_best()
        processes.barrier()
        found, damaged = self._first_intact(kept_checkpoints.resumable(self._folder.checkpoints))
        if found is not None:
            if processes.is_first():
                self._kept.resume(None if self._folder.last in damaged else found.update)
            self._note_best()
        elif damaged:
            raise UserError(
                f"{self._folder.checkpoints} has no intact checkpoint; nothing was changed: "
                f"put a copy of {LAST} there, or remove "
                f"{', '.join(file.name for file in damaged)} to start from scratch"
            )
        return found

    def best(self) -> Checkpoint:
        """Wait for pending writes and return the best model.

        Raises:
            UserError: The file cannot be read, or a write failed.
        """
        self._kept.wait()
        return load_checkpoint(find_checkpoint(self._folder.path))

    def reload(self, back: int) -> EarlierCheckpoint | None:
        """Return the checkpoint to which a diverged run rewinds; None: there is none.

        All processes have to call this, because it synchronizes them.

        Args:
            back: Number of the newest checkpoints to skip. Only intact files with finite weights
                count. The oldest of them is never skipped.

        Raises:
            UserError: A file cannot be read, or a write failed.
        """
        self.wait()
        processes.barrier()
        found = None
        for file in kept_checkpoints.resumable(self._folder.checkpoints):
            try:
                checkpoint = load_checkpoint(file)
                weights, training = checkpoint.weights, checkpoint.training
                if training is None or not all(bool(w.isfinite().all()) for w in weights.values()):
                    continue
                self._refuse_unusable(file, checkpoint)
            except DamagedCheckpointError as error:
                self._report(f"warning: {error}")
                continue
            found = EarlierCheckpoint(file.name, weights, training)
            if back <= 0:
                break
            back -= 1
        return found

    def wait(self) -> None:
        """Wait for pending writes.

        Raises:
            UserError: A file could not be written.
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
        """Write a checkpoint, now or in the background; see `nmt.training.services.Save`.

        Raises:
            UserError: This write, or an earlier one in the background, failed.
        """
        settings = self._config.training
        if settings.save_in_background:
            weights, training = kept_checkpoints.copied((weights, training))
        state = Checkpoint(self._config, self._tokenizers, weights, training, scores, update)
        if name == LAST:
            self._kept.save_last(update, lambda: encode_checkpoint(state))
            return
        value = kept_checkpoints.score(scores, settings.best_metric)
        is_best = name == BEST
        self._kept.save_validated(
            update, value, best=is_best, encode=lambda: encode_checkpoint(state)
        )

    def _first_intact(self, files: list[Path]) -> tuple[Checkpoint | None, list[Path]]:
        """Load the first intact file; return it and the damaged files before it."""
        damaged: list[Path] = []
        for file in files:
            try:
                checkpoint = self._load(file)
            except DamagedCheckpointError as error:
                damaged.append(file)
                self._report(f"warning: {error}")
            else:
                return checkpoint, damaged
        return None, damaged

    def _load(self, file: Path) -> Checkpoint:
        """Load a checkpoint from which the run can resume.

        Raises:
            DamagedCheckpointError: The file is damaged, or its training state does not fit.
            UserError: The file cannot be read, or another version wrote it.
        """
        checkpoint = load_checkpoint(file)
        self._refuse_unusable(file, checkpoint)
        return checkpoint

    def _refuse_unusable(self, file: Path, checkpoint: Checkpoint) -> None:
        state, update = checkpoint.training, checkpoint.update
        if state is None or update is None:
            raise DamagedCheckpointError(f"{file} contains a model without training state")
        if self._model is None:
            return
        try:
            check_state(checkpoint.weights, state, update, self._model, self._config)
        except UserError as error:
            raise DamagedCheckpointError(
                f"{file} is not usable to resume: {error}; use another file of checkpoints/, or a "
                "copy"
            ) from error

    def _note_best(self) -> None:
        """Register the best models of an earlier process if several are kept."""
        if self._config.training.keep_best == 1:
            return
        for file in kept_checkpoints.best_files(self._folder.checkpoints):
            try:
                best = load_checkpoint(file)
            except DamagedCheckpointError as error:
                self._report(f"warning: {error}")
                continue
            metric = self._config.training.best_metric
            value = best.metrics.get(metric)
            if best.update is None or not isinstance(value, int | float) or math.isnan(value):
                self._report(f"warning: {file} has no score {metric} and is not compared")
                continue
            score = kept_checkpoints.score(best.metrics, metric)
            self._kept.note_best(file, best.update, score)
        if processes.is_first():
            self._kept.remove_beaten()
