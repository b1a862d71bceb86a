"""The report as plain text for a terminal."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nmt.data_check.check_report import DataReport, Finding, Severity, Status
from nmt.data_check.even_sample import MOST_SAMPLED
from nmt.printable import printable
from nmt.reporting.text_table import format_bytes

_STATUS = {
    Status.CLEAN: "Clean: no problems found.",
    Status.WARNINGS: "Training would run, with these warnings, the most important first.",
    Status.REFUSED: "Training would be refused. Fix the findings marked ERROR first.",
}
_PARTLY_READ = "These numbers leave out the text that could not be read."
_SHOWN_LOCATIONS = 3
_LEAST_WIDTH = 60


def report_table(report: DataReport, width: int = 100) -> str:
    """Return the whole report as text.

    Args:
        report: The report.
        width: Columns of the terminal; at least 60 are used.
    """
    width = max(_LEAST_WIDTH, width)
    corpus = report.corpus
    lines = [
        f"{corpus['name']}, {corpus['source_language']} to {corpus['target_language']}",
        *_wrapped(_STATUS[report.status], width),
        "",
        *_sizes(report),
        *_wrapped(_PARTLY_READ if report.is_partly_read else "", width),
    ]
    for finding in report.findings:
        lines += ["", *_finding(finding, width)]
    for part in (_filters(report.filters), _tokens(report.tokens), _cost(report.cost)):
        block = list(part)
        if block:
            lines += ["", *(line[:width] for line in block)]
    return printable("\n".join(lines), keep_breaks=True) + "\n"


def _sizes(report: DataReport) -> Iterator[str]:
    languages = report.corpus["source_language"], report.corpus["target_language"]
    rows = [["", "pairs", "side", "words", "per line", "longest", "characters"]]
    for split in report.splits:
        for side, language in zip(("source", "target"), languages, strict=True):
            row = split[side]
            first = side == "source"
            rows.append(
                [
                    str(split["name"]) if first else "",
                    f"{split['pairs']:,}" if first else "",
                    language,
                    f"{row['words']:,}",
                    f"{row['words'] / max(1, row['lines']):.1f}",
                    f"{row['longest_words']:,}",
                    f"{row['characters']:,}",
                ]
            )
    yield from _columns(rows, left=(0, 2))
    repeated = next((split.get("repeated_sources", 0) for split in report.splits), 0)
    if repeated:
        yield f"{repeated:,} training pairs repeat an earlier source with another target."


def _finding(finding: Finding, width: int) -> Iterator[str]:
    mark = "ERROR  " if finding.severity == Severity.ERROR else "warning"
    yield from _wrapped(f"{mark} {finding.split}: {finding.message}", width, indent=8)
    for location in [p for p in finding.locations if p.text][:_SHOWN_LOCATIONS]:
        same = finding.locations[0].file == location.file and location.line is not None
        line = f"{f'{location.unit} {location.line:,}' if same else location}: {location.text}"
        room = width - 8
        yield f"        {line if len(line) <= room else line[: room - 1] + '…'}"
    words, *commands = finding.remedy.splitlines() or [""]
    yield from _wrapped(f"-> {words}", width, first=8, indent=11)
    yield from (f"           {command}" for command in commands)  # not wrapped, to be copied


def _filters(filters: Mapping[str, Any] | None) -> Iterator[str]:
    if filters is None or not filters["dropped"]:
        return
    yield f"Training keeps {filters['kept']:,} pairs and drops:"
    rows = [
        [f"  {row['rule'].replace('_', ' ')}", f"{row['count']:,}"] for row in filters["dropped"]
    ]
    yield from _columns(rows, left=(0,))


def _tokens(tokens: Mapping[str, Any] | None) -> Iterator[str]:
    if tokens is None:
        return
    yield f"Pieces (the tokenizer is trained on up to {MOST_SAMPLED:,} pairs for this report)"
    rows = [["", "vocabulary", "pieces", "per word", "unknown in valid, test"]]
    for side, row in tokens.items():
        rows.append(
            [
                f"  {side}",
                f"{row['vocabulary']:,}",
                f"{row['pieces']:,}",
                f"{row['pieces_per_word']:.2f}",
                f"{row['unknown_share']:.2%}",
            ]
        )
    yield from _columns(rows, left=(0,))


def _cost(cost: Mapping[str, Any] | None) -> Iterator[str]:
    if cost is None:
        return
    rows, pieces = cost["largest_batch"]
    updates = cost["updates_per_epoch"]
    yield (
        f"An epoch: {updates:,} update{'' if updates == 1 else 's'} of at most "
        f"{cost['batch_tokens']:,} target pieces, {cost['padding_share']:.1%} padding"
    )
    yield (
        f"Largest batch: {rows:,} sentences of {pieces:,} pieces. "
        f"On disk: {format_bytes(cost['encoded_bytes'])}. "
        f"Order in memory: {format_bytes(cost['order_bytes'])}"
    )


def _columns(rows: Sequence[Sequence[str]], left: Sequence[int]) -> Iterator[str]:
    """Yield rows with aligned columns: ``left`` are aligned to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _wrapped(text: str, width: int, *, first: int = 0, indent: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=" " * first,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
