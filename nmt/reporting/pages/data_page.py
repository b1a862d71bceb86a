"""An HTML page of a data check: findings, sizes, histograms, filtered pairs and training cost.

The page is one file that works offline; see `self_contained`. It is made from the mapping that
`nmt data check --json` prints.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.durable_file import atomic_write
from nmt.reporting.pages.bar_chart import histogram
from nmt.reporting.pages.self_contained import fill_page, printable
from nmt.reporting.text_table import format_bytes

Row = Mapping[str, Any]

_STATUS = {
    "clean": ("Clean.", "No problems found."),
    "warnings": ("With warnings.", "Training would run, but review the warnings below."),
    "refused": ("Refused.", "Training would not start. Fix the errors below first."),
}
_SEVERITIES = ("error", "warning")
_SETTING_AT_END = re.compile(r"(.*:) ([a-z_]+(?:\.[a-z_]+)+=\S+)")
_NOTE = (
    '<p class="note">A bar covers the values from the number below it up to the next number.</p>'
)


def save_data_page(report: Mapping[str, Any], path: Path) -> None:
    """Write a report on a corpus as a page. The file appears complete or not at all.

    Args:
        report: The mapping that `DataReport.to_mapping` returns. ``filters``, ``tokens`` and
            ``cost`` may be None. Its texts may contain any characters.
        path: The file to write; missing folders are created.
    """
    corpus = report["corpus"]
    languages = f"{corpus['source_language']} to {corpus['target_language']}"
    page = fill_page(
        "data_page",
        {
            "title": _text(f"{corpus['name']}, {languages}"),
            "status": _status(report["status"]),
            "sections": "\n".join(_sections(report)),
            "version": _text(report["nmt"]),
        },
    )
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")


def _sections(report: Mapping[str, Any]) -> Iterator[str]:
    corpus, tokens = report["corpus"], report["tokens"]
    sides = {side: corpus[f"{side}_language"] for side in ("source", "target")}
    yield _section("Findings", _findings(report["findings"]))
    yield _section("Sizes", _sizes(report["splits"], sides))
    for split in report["splits"]:
        pieces = tokens if split["name"] == "train" else None
        yield _section(f"Lengths: {split['name']}", _charts(split, sides, pieces))
    if report["filters"] is not None:
        yield _section("Removed by filters", _drops(report["filters"]))
    if tokens is not None:
        yield _section("Pieces", _tokens(tokens, sides))
    if report["cost"] is not None:
        yield _section("One epoch of training", _cost(report["cost"]))


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{_text(title)}</h2>\n{content}\n</section>"


def _status(status: str) -> str:
    heading, advice = _STATUS[status]
    return f'<p class="status {status}"><b>{heading}</b>{advice}</p>'


def _findings(findings: Sequence[Row]) -> str:
    if not findings:
        return '<p class="soft">No problems found.</p>'
    ordered = sorted(findings, key=lambda finding: _SEVERITIES.index(finding["severity"]))
    return f'<ul class="findings">\n{"".join(map(_finding, ordered))}</ul>'


def _finding(finding: Row) -> str:
    severity = _SEVERITIES[_SEVERITIES.index(finding["severity"])]
    where = ", ".join(filter(None, (finding["split"], finding["side"])))
    return (
        f'<li class="finding {severity}"><h3><span class="badge">{severity}</span>'
        f"<span>{_text(finding['rule'].replace('_', ' '))}</span>"
        f'<span class="where">{_text(where)} · {finding["count"]:,} ×</span></h3>\n'
        f"<p>{_text(finding['message'])}</p>\n{_remedy(finding['remedy'])}"
        f"{_places(finding['places'])}</li>\n"
    )


def _remedy(remedy: str) -> str:
    """Return the words, and below them a box with the commands and a button that copies them.

    A setting at the end of the words, such as ``data.filters.copies=true``, also gets a box.
    """
    words, _, commands = remedy.partition("\n")
    if found := _SETTING_AT_END.fullmatch(words):
        words, commands = found[1], found[2]
    html_words = f'<p class="remedy">{_text(words)}</p>\n'
    if not commands:
        return html_words
    lines = "\n".join(map(_text, commands.split("\n")))  # a line break is no control character here
    return (
        f'{html_words}<div class="command"><pre tabindex="0" role="region" aria-label="Command">'
        f'<code>{lines}</code></pre><button type="button" class="copy">Copy</button></div>\n'
    )


def _places(places: Sequence[Row]) -> str:
    if not places:
        return ""
    rows = (
        f'<tr><td class="line">{_text(place["file"])}'
        + (f", {place['unit']} {place['line']:,}" if place["line"] is not None else "")
        + f'</td><td class="text"><code dir="auto">{_text(place["text"])}</code></td></tr>\n'
        for place in places
    )
    return f'<table class="places">\n{"".join(rows)}</table>\n'


def _sizes(splits: Sequence[Row], sides: Mapping[str, str]) -> str:
    head = ["", "pairs", "side", "lines", "words", "words per line", "longest", "characters"]
    rows = []
    for split in splits:
        for number, (side, language) in enumerate(sides.items()):
            size = split[side]
            first = (split["name"], f"{split['pairs']:,}") if number == 0 else ("", "")
            cells = [
                *first,
                language,
                f"{size['lines']:,}",
                f"{size['words']:,}",
                f"{size['words'] / max(1, size['lines']):.1f}",
                f"{size['longest_words']:,}",
                f"{size['characters']:,}",
            ]
            rows.append((cells, "first" if number == 0 else ""))
    return _table("Sizes", head, rows, names=(0, 2))


def _charts(split: Row, sides: Mapping[str, str], tokens: Mapping[str, Row] | None) -> str:
    words = {language: split[side]["words_histogram"] for side, language in sides.items()}
    ratios = {"pairs": split["ratio_histogram"]}
    source, target = sides.values()
    charts = [
        _chart("Words per line", words, "words", "lines"),
        _chart(f"Characters of {target} per character of {source}", ratios, "to 1", "pairs"),
    ]
    if tokens is not None:
        pieces = {language: tokens[side]["pieces_histogram"] for side, language in sides.items()}
        charts.append(_chart("Pieces per line", pieces, "pieces", "lines"))
    return f'<div class="charts">\n{"".join(charts)}</div>\n{_NOTE}'


def _chart(
    title: str, series: Mapping[str, Sequence[Sequence[float]]], of: str, counted: str
) -> str:
    if not any(series.values()):
        return ""
    named = {printable(name): rows for name, rows in series.items()}
    classes = ("key", "key second")
    keys = [
        f'<span class="{key}">{_text(name)}</span>'
        for key, name in zip(classes, series, strict=False)
    ]
    return (
        f'<figure class="chart"><figcaption><h3>{_text(title)}</h3>'
        f"{''.join(keys) if len(series) > 1 else ''}</figcaption>\n"
        f"{histogram(printable(title), named, of, counted)}</figure>\n"
    )


def _drops(filters: Row) -> str:
    dropped = filters["dropped"]
    left_out = sum(row["count"] for row in dropped)
    pairs = filters["kept"] + left_out
    kept = f"<p>{filters['kept']:,} of {pairs:,} pairs are kept.</p>"
    if not dropped:
        return kept
    rows = []
    for row in sorted(dropped, key=lambda row: -row["count"]):
        share = row["count"] / pairs
        width = 100 * row["count"] / left_out
        bar = (
            '<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect width="{width:.2f}" height="1"/></svg>'
        )
        rows.append((row["rule"].replace("_", " "), f"{row['count']:,}", f"{share:.2%}", bar))
    body = "".join(
        f'<tr><td class="name">{_text(rule)}</td><td>{count}</td><td>{share}</td>'
        f'<td class="share">{bar}</td></tr>\n'
        for rule, count, share, bar in rows
    )
    names = ("rule", "pairs", "of all", "")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    head = f"<tr>{head}</tr>"
    return f"{kept}\n{_scrolled(f'{head}{chr(10)}{body}', 'Removed by filters')}"


def _tokens(tokens: Mapping[str, Row], sides: Mapping[str, str]) -> str:
    head = ["", "vocabulary", "pieces", "per word", "unknown in valid, test"]
    rows = [
        (
            [
                sides[side],
                f"{row['vocabulary']:,}",
                f"{row['pieces']:,}",
                f"{row['pieces_per_word']:.2f}",
                f"{row['unknown_share']:.3%}",
            ],
            "",
        )
        for side, row in tokens.items()
    ]
    return _table("Pieces", head, rows, names=(0,))


def _cost(cost: Row) -> str:
    rows, width = cost["largest_batch"]
    facts = {
        "updates": f"{cost['updates_per_epoch']:,}",
        "target pieces per update, at most": f"{cost['batch_tokens']:,}",
        "padding": f"{cost['padding_share']:.1%}",
        "largest batch": f"{rows:,} × {width:,} pieces",
        "prepared text on disk": format_bytes(cost["encoded_bytes"]),
        "order of the pairs in memory": format_bytes(cost["order_bytes"]),
    }
    entries = (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return f'<dl class="facts">{"".join(entries)}</dl>'


def _table(
    label: str,
    head: Sequence[str],
    rows: Sequence[tuple[Sequence[str], str]],
    names: Sequence[int],
) -> str:
    """Return a table of texts.

    Args:
        label: What the table shows, for screen readers.
        head: The heading of each column.
        rows: The cells and the class of each row.
        names: The columns that are names rather than numbers.
    """
    classes = ['class="name"' if column in names else "" for column in range(len(head))]
    cells = "".join(
        f'<th scope="col" {name}>{_text(cell)}</th>'
        for name, cell in zip(classes, head, strict=True)
    )
    body = "".join(
        f'<tr class="{row_class}">'
        + "".join(f"<td {name}>{_text(cell)}</td>" for name, cell in zip(classes, row, strict=True))
        + "</tr>\n"
        for row, row_class in rows
    )
    return _scrolled(f"<tr>{cells}</tr>\n{body}", label)


def _scrolled(rows: str, label: str) -> str:
    """Return a table that scrolls, also by arrow keys, if it is wider than the page."""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(label)}">'
        f'<table class="numbers">{rows}</table></div>'
    )


def _text(text: str) -> str:
    """Escape a text for HTML."""
    return html.escape(printable(text))
