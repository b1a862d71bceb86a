"""`nmt pack`: writes one file with everything that translation needs."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nmt import loading_phase
from nmt.cli.export import Run
from nmt.cli.text_streams import print_safely
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress

Output = Annotated[
    Path | None, typer.Option(help="The file to write. [the name of the run folder, with .nmt]")
]


class PackedWeights(StrEnum):
    """The values of ``--weights``."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


WeightType = Annotated[
    PackedWeights,
    typer.Option(
        "--weights", help="Type of the weights in the file; translation computes in --precision."
    ),
]


def pack(model: Run, output: Output = None, weights: WeightType = PackedWeights.FLOAT32) -> None:
    """Write the model of a run as one file, without the state of its training.

    The file has the weights, the settings and the tokenizers. Every command takes it as --model.
    """
    with CommandProgress() as progress:
        progress.show("loading", model)
        from nmt.checkpoint import find_checkpoint, load_checkpoint
        from nmt.export.packed_file import save_packed

        source = find_checkpoint(model)
        path = output if output is not None else Path(f"{model.resolve().stem}.nmt")
        _check(path, source)
        checkpoint = load_checkpoint(source, mapped=True)
        loading_phase.end()
        progress.show("writing", path)
        save_packed(checkpoint, path, weights.value)
    print_safely(f"{path}: {os.path.getsize(path) / 1e6:,.1f} MB; nmt translate --model {path}")


def _check(path: Path, source: Path) -> None:
    if path.is_dir():
        raise UserError(f"--output {path} is a folder; give a file, e.g. {path / 'model.nmt'}")
    if path.exists() and path.samefile(source):
        raise UserError(f"--output {path} is the model itself; give another file")
