"""`nmt compare`: runs side by side in one table, and their curves in one picture."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options.evaluation_options import Paired
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress
from nmt.reporting.comparison_table import TableFormat

Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN...",
        help="Run folders, or folders that contain runs, e.g. a sweep. Each run is compared with "
        "the first.",
        show_default=False,
    ),
]
Form = Annotated[
    TableFormat,
    typer.Option("--format", help="How the table is written. JSON has all figures unrounded."),
]
Test = Annotated[
    Paired,
    typer.Option(help="The test of each run's BLEU against that of the first run."),
]
Curves = Annotated[
    Path | None,
    typer.Option(
        help=("A PNG file for the curves: the validation BLEU of all runs during training.")
    ),
]


def compare(
    runs: Runs,
    form: Form = TableFormat.MARKDOWN,
    paired: Test = Paired.BOOTSTRAP,
    curves: Curves = None,
) -> None:
    """Compare finished and unfinished runs: settings that differ, scores, speed, significance.

    nmt report RUN RUN writes the comparison as a page, with curves, sentences and heatmaps.
    """
    from nmt.evaluation.significance import PairedTestName
    from nmt.reporting.comparison_table import comparison_text
    from nmt.run.comparison.comparison_curves import save_run_curves
    from nmt.run.comparison.run_comparison import compare_runs
    from nmt.run.run_record import read_runs

    if curves is not None and curves.suffix.lower() != ".png":
        raise UserError(f"--curves {curves}: give the name of a PNG file, which ends with .png")
    with CommandProgress() as progress:
        progress.show("reading", runs[0])
        records, left_out = read_runs(runs)
        progress.show("comparing")
        test = None if paired is Paired.NONE else PairedTestName(paired)
        comparison = compare_runs(records, test)
        comparison.notes.extend(left_out)
        if curves is not None:
            save_run_curves(records, [row["name"] for row in comparison.rows], curves)
    print(comparison_text(vars(comparison), form))
    if form is TableFormat.CSV:  # which has no place for them
        for note in comparison.notes:
            print(f"note: {note}", file=sys.stderr)
