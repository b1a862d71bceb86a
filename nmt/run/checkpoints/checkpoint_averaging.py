"""Averages the weights of checkpoint files to one checkpoint (Vaswani et al. 2017, section 6.1)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint import Checkpoint, load_checkpoint
from nmt.errors import UserError
from nmt.model.self_attention.kinds import DRAWN
from nmt.run.checkpoints.same_text import differing_tokenizer
from nmt.training.checkpoints.checkpoint_mean import CheckpointMean
from nmt.training.checkpoints.kept_checkpoints import resumable
from nmt.training.fine_tuning.warm_start import model_differences

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Averaged:
    """The mean of several checkpoints.

    Attributes:
        checkpoint: The averaged model without training state. It has the settings of the first
            file and the greatest update of the files.
        files: The averaged files.
        updates: The known updates of the files.
        repeated: Pairs of files with equal weights; both files of a pair are counted.
    """

    checkpoint: Checkpoint
    files: list[Path]
    updates: list[int]
    repeated: list[tuple[Path, Path]]


def average_run(run: Path, last: int, advance: Advance = lambda done: None) -> Averaged:
    """Average the last checkpoints of a run folder: last.pt and the newest update-N.pt.

    Two files of the same update count once.

    Args:
        run: The folder.
        last: The number of checkpoints; all of them if the run has fewer.
        advance: Called with the number of files read so far.

    Raises:
        UserError: The run has no checkpoints, or `average_files` refuses them.
    """
    files = resumable(run / "checkpoints")
    if not files:
        raise UserError(f"{run} has no checkpoints/last.pt or update-N.pt; is it a run folder?")
    return average_files(files, last, advance)


def average_files(
    files: Sequence[Path], most: int | None = None, advance: Advance = lambda done: None
) -> Averaged:
    """Average checkpoint files; one file is in memory at a time, besides the first and the mean.

    Args:
        files: At least one; the average gets the settings of the first.
        most: The greatest number of files to use, only one per update. None: use all files.
        advance: Called with the number of files read so far.

    Raises:
        UserError: A file cannot be read, is given twice, has another model or tokenizer than the
            first, or has weights that do not match its settings.
    """
    if most is None:
        _refuse_same_file(files)
    mean, first = CheckpointMean(), load_checkpoint(files[0])
    used: list[Path] = []
    updates: list[int] = []
    digests: dict[bytes, Path] = {}
    repeated: list[tuple[Path, Path]] = []
    for number, file in enumerate(files):
        advance(number)
        checkpoint = load_checkpoint(file) if used else first
        if most is not None and (len(used) == most or checkpoint.update in updates):
            continue
        checkpoint.check_weights()
        _refuse_other(file, checkpoint, files[0], first, mean)
        mean.add(checkpoint.weights)
        earlier = digests.setdefault(_digest(checkpoint.weights), file)
        if earlier != file:
            repeated.append((earlier, file))
        used.append(file)
        if checkpoint.update is not None:
            updates.append(checkpoint.update)
    newest = max(updates, default=None)
    averaged = replace(first, weights=mean.mean(), training=None, metrics={}, update=newest)
    return Averaged(averaged, used, updates, repeated)


def _refuse_same_file(files: Sequence[Path]) -> None:
    seen: dict[tuple[int, int], Path] = {}
    for file in files:
        if not file.exists():
            continue  # load_checkpoint reports a missing file
        status = file.stat()
        other = seen.setdefault((status.st_dev, status.st_ino), file)
        if other is not file:
            what = f"{file} is given twice" if other == file else f"{file} and {other} are one file"
            raise UserError(f"{what}; each checkpoint counts once: leave one out")


def _digest(weights: Mapping[str, Tensor]) -> bytes:
    """Return a hash of weights, to find files with equal weights."""
    found = hashlib.sha1(usedforsecurity=False)
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].to(torch.float32).contiguous().numpy().data)
    return found.digest()


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
    for name, weight in first.weights.items():
        if name.endswith(DRAWN) and not torch.equal(weight, checkpoint.weights[name]):
            raise UserError(
                f"{file} has other random numbers than {first_file} ({name}), and weights that "
                "were learned for them; average checkpoints of one run"
            )
