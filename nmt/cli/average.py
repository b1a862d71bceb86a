"""`nmt average`: averages the weights of several checkpoints into one model."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.text_streams import print_safely
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress

if TYPE_CHECKING:
    from nmt.run.checkpoints.checkpoint_averaging import Averaged

_LAST = 5

Output = Annotated[
    Path, typer.Option(help="The checkpoint to write; every command accepts it as a model.")
]
Files = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[MODEL]...",
        help=(
            "Checkpoint files or run folders, instead of --model. Of several run folders, the best "
            "checkpoints are averaged. Of a single run folder, the last checkpoints are averaged."
        ),
    ),
]
Run = Annotated[
    Path | None, typer.Option("--model", help="A run folder, whose last checkpoints are averaged.")
]
Last = Annotated[
    int | None, typer.Option(help=f"Number of checkpoints of the run, including last.pt. [{_LAST}]")
]


def average(output: Output, files: Files = None, model: Run = None, last: Last = None) -> None:
    """Average the weights of checkpoints (Vaswani et al. 2017, section 6.1).

    A run saves a checkpoint every training.save_every updates and keeps the last
    training.keep_last of them.
    """
    with CommandProgress() as progress:
        progress.show("loading", model or ", ".join(map(str, files or [])))
        from nmt.checkpoint import find_checkpoint, save_checkpoint

        files = files or []
        if model is None and len(files) == 1 and files[0].is_dir():
            files, model = [], files[0]
        _check(files, model, last)
        files = [find_checkpoint(file) for file in files]
        _check_output(output, files)
        averaged = _averaged(files, model, last, progress)
        progress.clear()
        for one, other in averaged.repeated:
            print(f"warning: {one} and {other} have the same weights; both count", file=sys.stderr)
        progress.show("writing", output)
        save_checkpoint(averaged.checkpoint, output)
    print_safely(f"{output}: the average of {', '.join(file.name for file in averaged.files)}")


def _averaged(
    files: Sequence[Path], model: Path | None, last: int | None, progress: CommandProgress
) -> "Averaged":
    from nmt.run.checkpoints.checkpoint_averaging import average_files, average_run

    loading_phase.end()
    if model is None:
        return average_files(files, None, progress.stage("averaging", len(files), "checkpoints"))
    wanted = _LAST if last is None else last
    averaged = average_run(model, wanted, progress.stage("averaging", wanted, "checkpoints"))
    if last is not None and len(averaged.files) < last:
        raise UserError(
            f"{model} has {len(averaged.files)} of {last} checkpoints: lower --last, or "
            f"train with training.keep_last={last}"
        )
    return averaged


def _check_output(output: Path, files: Sequence[Path]) -> None:
    """Refuse an output that cannot be written, or would replace an input, before the work."""
    if output.is_dir():
        raise UserError(f"--output {output} is a folder; give the name of a file in it")
    if any(output.exists() and file.exists() and output.samefile(file) for file in files):
        raise UserError(f"--output {output} is one of the averaged files; choose another name")
    folder = next(parent for parent in output.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"--output {output}: cannot write to {folder}; choose another folder")


def _check(files: Sequence[Path], model: Path | None, last: int | None) -> None:
    if (model is None) == (not files):
        raise UserError("give either a run by --model RUN, or run folders and checkpoint files")
    if model is None and last is not None:
        raise UserError(f"--last {last} counts the checkpoints of a run: give --model RUN")
    if last is not None and last < 1:
        raise UserError(f"--last is {last}; it must be at least 1")
