"""Checkpoint averaging (Vaswani et al. 2017, section 6.1): files in, one checkpoint out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.checkpoint import Checkpoint, load_checkpoint
from nmt.errors import UserError
from nmt.run.same_text import differing_tokenizer
from nmt.training.checkpoint_mean import CheckpointMean
from nmt.training.kept_checkpoints import resumable
from nmt.training.warm_start import model_differences


@dataclass(frozen=True)
class Averaged:
    """The mean of several checkpoints.

    Attributes:
        checkpoint: A model without training state, with the settings of the first checkpoint.
        files: The averaged files.
        updates: Their updates, where they are known.
    """

    checkpoint: Checkpoint
    files: list[Path]
    updates: list[int]


def average_run(run: Path, last: int) -> Averaged:
    """Average the last checkpoints of a run folder: last.pt and the newest update-N.pt.

    Two files of the same update count once.

    Args:
        run: The folder.
        last: How many checkpoints; all, if there are fewer.

    Raises:
        UserError: There are none, or they do not belong together.
    """
    files = resumable(run / "checkpoints")
    if not files:
        raise UserError(f"{run} has no checkpoints/last.pt or update-N.pt; is it a run folder?")
    return average_files(files, last)


def average_files(files: Sequence[Path], most: int | None = None) -> Averaged:
    """Average checkpoint files, with one in memory at a time.

    Args:
        files: At least one; the settings of the first are kept.
        most: Stop after this many files of different updates. None: use all files, whatever their
            updates.

    Raises:
        UserError: A file cannot be read, or has another model or tokenizer than the first.
    """
    mean, first = CheckpointMean(), load_checkpoint(files[0])
    used: list[Path] = []
    updates: list[int] = []
    for file in files:
        checkpoint = load_checkpoint(file) if used else first
        if most is not None and (len(used) == most or checkpoint.update in updates):
            continue
        _refuse_other(file, checkpoint, files[0], first, mean)
        mean.add(checkpoint.weights)
        used.append(file)
        if checkpoint.update is not None:
            updates.append(checkpoint.update)
    averaged = replace(first, weights=mean.mean(), training=None, metrics={})
    return Averaged(averaged, used, updates)


def _refuse_other(
    file: Path, checkpoint: Checkpoint, first_file: Path, first: Checkpoint, mean: CheckpointMean
) -> None:
    side = differing_tokenizer(first.tokenizers, checkpoint.tokenizers)
    if side is not None:
        raise UserError(
            f"{file} has a different {side} tokenizer than {first_file}; average checkpoints of "
            "one run"
        )
    settings = model_differences(first.config.model, checkpoint.config.model)
    if settings:
        raise UserError(
            f"{file} is a different model than {first_file}: {'; '.join(settings)}; average "
            "checkpoints of one run"
        )
    shape = mean.differs(checkpoint.weights)
    if shape is not None:
        raise UserError(
            f"{file} has different weight shapes than {first_file}: {shape}; average checkpoints "
            "of one run"
        )
