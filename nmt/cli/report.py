"""`nmt report`: the page of a run, or of several runs side by side, made from their folders."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from nmt.errors import UserError
from nmt.printable import printable
from nmt.reporting.command_progress import CommandProgress

Runs = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN...",
        help="A run folder; or several, or a folder of runs, which are shown side by side.",
        show_default=False,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(help="The file, .html or .md. [report.html and report.md in the folder of a run]"),
]


def report(runs: Runs, output: Output = None) -> None:
    """Write the page of a run: scores, curves, attention, samples, settings; it opens offline."""
    from nmt.run.reports.write_report import write_comparison, write_report
    from nmt.run.run_record import read_runs

    if output is not None and output.suffix.lower() not in (".html", ".md"):
        raise UserError(f"--output {output}: give a file whose name ends with .html or .md")
    with CommandProgress() as progress:
        progress.show("reading", runs[0])
        records, left_out = read_runs(runs)
        if len(records) == 1:
            written = write_report(records[0], output)
        else:
            written = write_comparison(records, output or runs[0] / "comparison.html")
    for note in left_out:
        print(f"nmt: {printable(note)}", file=sys.stderr)
    for path in written:
        print(path)
