"""`nmt shortlist`: learns which target pieces can translate a sentence, for a faster search."""

from pathlib import Path
from typing import Annotated

import typer

from nmt import loading_phase
from nmt.cli.export import Run
from nmt.cli.text_streams import print_safely
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress

Output = Annotated[
    Path | None, typer.Option(help="The file to write. [shortlist.bin in the run folder]")
]
Source = Annotated[
    Path | None,
    typer.Option(
        help="Learn from these sentences, one per line; may be .gz. [the run's training text]"
    ),
]
Target = Annotated[Path | None, typer.Option(help="Their translations, line by line.")]
Candidates = Annotated[
    int | None,
    typer.Option(
        help="Number of the most probable translations of each source piece. [50]",
        show_default=False,
    ),
]
Frequent = Annotated[
    int | None,
    typer.Option(
        help="Number of frequent target pieces that are candidates of every sentence. [100]",
        show_default=False,
    ),
]
Pairs = Annotated[int | None, typer.Option(help="Use at most this number of pairs. [1000000]")]


def shortlist(
    model: Run,
    output: Output = None,
    source: Source = None,
    target: Target = None,
    candidates: Candidates = None,
    frequent: Frequent = None,
    pairs: Pairs = None,
) -> None:
    """Learn from the training text which target pieces can translate which source pieces.

    nmt translate --shortlist then computes the output layer only for the candidates of a sentence,
    which is faster and changes few translations.
    """
    _check(source, target, candidates, frequent, pairs)
    with CommandProgress() as progress:
        progress.show("loading", model)
        from nmt.checkpoint import find_checkpoint, load_checkpoint
        from nmt.decoding.constrained.shortlist import CANDIDATES, FREQUENT
        from nmt.decoding.constrained.shortlist_file import NAME, save_shortlist
        from nmt.run.learn_shortlist import (
            MOST_PAIRS,
            learn_shortlist,
            text_of_files,
            text_of_run,
        )

        path = _path(model, output, NAME)
        checkpoint = load_checkpoint(find_checkpoint(model), mapped=True)
        loading_phase.end()
        learned = learn_shortlist(
            checkpoint,
            text_of_run(checkpoint, model)
            if source is None or target is None
            else text_of_files(source, target),
            candidates=CANDIDATES if candidates is None else candidates,
            frequent=FREQUENT if frequent is None else frequent,
            most_pairs=MOST_PAIRS if pairs is None else pairs,
            advance=progress.stage("learning", None, "pairs"),
        )
        progress.show("writing", path)
        save_shortlist(learned.shortlist, path)
    total = len(learned.shortlist)
    print_safely(f"{path}: {total:,} candidates from {learned.pairs:,} pairs")
    if learned.covered is not None and learned.size is not None:
        print_safely(
            f"validation text: {100 * learned.covered:.1f} % of the reference's pieces are "
            f"candidates; a sentence has {learned.size:,.0f} of {learned.shortlist.target_size:,}"
        )
    print_safely(f"nmt translate --model {model} --shortlist {model if output is None else path}")


def _path(model: Path, output: Path | None, name: str) -> Path:
    if output is None and not model.is_dir():
        raise UserError(f"{model} is a file: name the shortlist to write by --output FILE")
    path = model / name if output is None else output
    if path.is_dir():
        raise UserError(f"--output {path} is a folder; give a file, e.g. {path / name}")
    return path


def _check(
    source: Path | None,
    target: Path | None,
    candidates: int | None,
    frequent: int | None,
    pairs: int | None,
) -> None:
    if (source is None) != (target is None):
        raise UserError("give both sides of a text: --source FILE --target FILE")
    for name, value, least in (
        ("candidates", candidates, 1),
        ("frequent", frequent, 0),
        ("pairs", pairs, 1),
    ):
        if value is not None and value < least:
            raise UserError(f"--{name} is {value}; it must be at least {least}")
