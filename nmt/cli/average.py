"""`nmt average`: averages the weights of several checkpoints into one model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from nmt.errors import UserError

_LAST = 5

Output = Annotated[
    Path, typer.Option(help="The checkpoint to write; every command accepts it as a model.")
]
Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE]...", help="Checkpoint files, instead of --model."),
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
    from nmt.checkpoint import save_checkpoint
    from nmt.run.checkpoint_averaging import average_files, average_run

    files = files or []
    _check(files, model, last)
    if model is None:
        averaged = average_files(files)
    else:
        averaged = average_run(model, _LAST if last is None else last)
        if last is not None and len(averaged.files) < last:
            raise UserError(
                f"{model} has {len(averaged.files)} of {last} checkpoints: lower --last, or "
                f"train with training.keep_last={last}"
            )
    save_checkpoint(averaged.checkpoint, output)
    print(f"{output}: the average of {', '.join(file.name for file in averaged.files)}")


def _check(files: Sequence[Path], model: Path | None, last: int | None) -> None:
    if (model is None) == (not files):
        raise UserError("give either a run by --model RUN or checkpoint files")
    if model is None and last is not None:
        raise UserError(f"--last {last} counts the checkpoints of a run: give --model RUN")
    if last is not None and last < 1:
        raise UserError(f"--last is {last}; it must be at least 1")
