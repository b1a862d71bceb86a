"""Averaging checkpoints (Vaswani et al. 2017, section 6.1): files in, one checkpoint out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.checkpoint import Checkpoint, load_checkpoint
from nmt.errors import UserError
from nmt.text.tokenizer import TokenizerPair
from nmt.training.kept_checkpoints import resumable
from nmt.training.starting import model_differences
from nmt.training.weight_average import WeightAverage


@dataclass(frozen=True)
class Averaged:
    """The mean of several checkpoints.

    Attributes:
        checkpoint: A model like any other, without training state; its settings are the first's.
        files: What it is the mean of.
        updates: Theirs, where they are known.
    """

    checkpoint: Checkpoint
    files: list[Path]
    updates: list[int]


def average_run(run: Path, last: int) -> Averaged:
    """Average the last checkpoints of a run folder: last.pt, and update-N.pt by their updates.

    A file of the same update as one before counts once.

    Args:
        run: The folder.
        last: How many; as many as there are, if those are fewer.

    Raises:
        UserError: There are none, or they do not go together.
    """
    files = resumable(run / "checkpoints")
    if not files:
        raise UserError(f"{run} holds no checkpoints/last.pt or update-N.pt; is it a run folder?")
    return average_files(files, last)


def average_files(files: Sequence[Path], most: int | None = None) -> Averaged:
    """Average checkpoint files, one in memory at a time.

    Args:
        files: At least one, the one whose settings are kept first.
        most: Stop after so many of unlike updates; None: take them all, whatever their updates.

    Raises:
        UserError: One cannot be read, or is of another model or tokenizer than the first.
    """
    average, first = WeightAverage(), load_checkpoint(files[0])
    taken: list[Path] = []
    updates: list[int] = []
    for file in files:
        checkpoint = load_checkpoint(file) if taken else first
        if most is not None and (len(taken) == most or checkpoint.update in updates):
            continue
        _refuse_other(file, checkpoint, files[0], first, average)
        average.add(checkpoint.weights)
        taken.append(file)
        if checkpoint.update is not None:
            updates.append(checkpoint.update)
    mean = replace(first, weights=average.mean(), training=None, metrics={})
    return Averaged(mean, taken, updates)


def _refuse_other(
    file: Path, checkpoint: Checkpoint, first_file: Path, first: Checkpoint, average: WeightAverage
) -> None:
    side = differing_tokenizer(first.tokenizers, checkpoint.tokenizers)
    if side is not None:
        raise UserError(
            f"{file} has another {side} tokenizer than {first_file}; average checkpoints of one run"
        )
    settings = model_differences(first.config.model, checkpoint.config.model)
    if settings:
        raise UserError(f"{file} is another model than {first_file}: {'; '.join(settings)}")
    shape = average.differs(checkpoint.weights)
    if shape is not None:
        raise UserError(f"{file} has weights of other shapes than {first_file}: {shape}")


def differing_tokenizer(one: TokenizerPair, other: TokenizerPair) -> str | None:
    """Return the side, source or target, whose pieces differ first; None: they are the same."""
    for side in ("source", "target"):
        pair = [getattr(tokenizers, side) for tokenizers in (one, other)]
        if pair[0].to_bytes() != pair[1].to_bytes():
            pieces = [tokenizer.pieces(range(len(tokenizer))) for tokenizer in pair]
            if pieces[0] != pieces[1]:
                return side
    return None
