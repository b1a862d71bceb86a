"""Writes the pages of runs: HTML and Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.durable_file import atomic_write
from nmt.reporting.pages.comparison_page import comparison_html, comparison_markdown
from nmt.reporting.pages.run_page import run_html, run_markdown
from nmt.run.folder import RunFolder
from nmt.run.reports.comparison_report import comparison_page
from nmt.run.reports.run_report import run_page
from nmt.run.run_record import RunRecord, read_record
from nmt.written_file import written_file


def write_report(record: RunRecord, output: Path | None = None) -> list[Path]:
    """Write the page of a run and return the files.

    Args:
        record: The run.
        output: The file, ``.html`` or ``.md``; None: both, in the run folder.

    Raises:
        UserError: A file cannot be written.
    """
    page, html = run_page(record), RunFolder(record.path).report
    paths = [html, html.with_suffix(".md")] if output is None else [output]
    for path in paths:
        _write(path, run_markdown(page) if _is_markdown(path) else run_html(page))
    return paths


def finish_folder(folder: RunFolder, summary: Mapping[str, Any]) -> None:
    """Write the pages of a run, and then its summary, which marks the run as finished.

    Raises:
        UserError: A file cannot be written.
    """
    write_report(read_record(folder.path, summary))
    folder.write_summary(summary)


def write_comparison(records: Sequence[RunRecord], output: Path) -> list[Path]:
    """Write the page of several runs, ``.html`` or ``.md``, and return the file.

    Raises:
        UserError: The file cannot be written.
    """
    page = comparison_page(records)
    text = comparison_markdown(page) if _is_markdown(output) else comparison_html(page)
    _write(output, text)
    return [output]


def _is_markdown(path: Path) -> bool:
    return path.suffix.lower() == ".md"


def _write(path: Path, text: str) -> None:
    with written_file(str(path), path), atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
