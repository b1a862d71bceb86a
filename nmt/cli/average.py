"""`nmt average`: one model of several checkpoints."""

from collections.abc import Sequence
from pathlib import Path

from nmt.checkpoint import save_checkpoint
from nmt.errors import UserError
from nmt.run.average_checkpoints import average_files, average_run

_LAST = 5


def run(files: Sequence[Path], model: Path | None, last: int | None, output: Path) -> None:
    """Average a run's last checkpoints, or the files given; print what was written.

    Raises:
        UserError: There are too few, or they do not go together.
    """
    if (model is None) == (not files):
        raise UserError("give a run by --model RUN, or checkpoint files, and not both")
    if model is None:
        if last is not None:
            raise UserError(f"--last {last} counts the checkpoints of a run: give --model RUN")
        made = average_files(files)
    else:
        wanted = _LAST if last is None else last
        if wanted < 1:
            raise UserError(f"--last is {wanted}; it must be at least 1")
        made = average_run(model, wanted)
        if last is not None and len(made.files) < last:
            raise UserError(
                f"{model} holds {len(made.files)} of {last} checkpoints: lower --last, or train "
                f"with training.keep_last={last}"
            )
    save_checkpoint(made.checkpoint, output)
    print(f"{output}: the average of {', '.join(file.name for file in made.files)}")
