"""The table of `nmt compare` as Markdown, CSV, LaTeX and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from nmt.printable import printable
from nmt.reporting.score_names import SCORE_NAMES, SIGNIFICANT
from nmt.reporting.text_table import aligned

ABSENT = "-"
Table = tuple[list[str], list[list[str]], int]
"""Column headings, rows of cells, and the number of left-aligned columns."""

_MOST_SETTINGS = 5  # in one table with the figures
_MOST_RUNS = 8  # as columns of a table


def _two_decimals(value: float) -> str:
    """Format a score; a perplexity may have hundreds of digits."""
    return f"{value:.2f}" if abs(value) < 1e6 else f"{value:.3g}"


_FIGURES: dict[str, tuple[str, Callable[[float], str]]] = {  # name: heading and format
    **{name: (SCORE_NAMES[name], _two_decimals) for name in ("bleu", "chrf", "ter")},
    "perplexity": ("perplexity", _two_decimals),
    "valid_bleu": ("valid BLEU", _two_decimals),
    "aer": ("AER", "{:.1f}".format),
    "parameters": ("parameters", "{:,}".format),
    "updates": ("updates", "{:,}".format),
    "tokens_per_second": ("tokens/s", "{:,.0f}".format),
    "minutes": ("minutes", "{:.1f}".format),
}
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
}


class TableFormat(StrEnum):
    """The format of a table."""

    MARKDOWN = "markdown"
    CSV = "csv"
    LATEX = "latex"
    JSON = "json"


def comparison_text(comparison: Mapping[str, Any], form: TableFormat) -> str:
    """Return the table of a comparison of runs in a format.

    Args:
        comparison: The fields of `nmt.run.comparison.run_comparison.Comparison`.
        form: The format. JSON and CSV have unrounded figures.
    """
    match form:
        case TableFormat.JSON:
            return json.dumps(comparison, indent=2, ensure_ascii=False)
        case TableFormat.CSV:
            return _csv(comparison)
        case TableFormat.LATEX:
            return _latex(comparison)
    tables = [[*aligned(*table), ""] for table in tables_of(comparison)]
    return "\n".join([*(line for table in tables for line in table), *explanations(comparison)])


def tables_of(comparison: Mapping[str, Any]) -> list[Table]:
    """Return one table, or two tables if many settings differ: the figures, and the settings."""
    rows, settings = comparison["rows"], comparison["settings"]
    finished = all(row["status"] == "finished" for row in rows)
    status = [] if finished else ["status"]
    shown = [name for name in _FIGURES if any(row[name] is not None for row in rows)]
    values = _shown_settings(rows, settings)
    beside = values if len(values) <= _MOST_SETTINGS else {}
    head = ["run", *beside, *status]
    cells = [
        [
            printable(row["name"]),
            *(texts[number] for texts in beside.values()),
            *(row[name] for name in status),
            *(_figure(row, name) for name in shown),
        ]
        for number, row in enumerate(rows)
    ]
    figures = [*head, *(_FIGURES[name][0] for name in shown)], cells, len(head)
    return [figures] if beside or not values else [figures, _settings_table(rows, values)]


def _settings_table(rows: Sequence[Mapping[str, Any]], values: Mapping[str, list[str]]) -> Table:
    """Return a table with a row per setting if this is narrower, else with a row per run."""
    names = [printable(row["name"]) for row in rows]
    if len(names) <= _MOST_RUNS:
        head = ["setting that differs", *names]
        return head, [[key, *texts] for key, texts in values.items()], len(head)
    head = ["run", *values]
    cells = [[name, *(texts[n] for texts in values.values())] for n, name in enumerate(names)]
    return head, cells, len(head)


def _shown_settings(
    rows: Sequence[Mapping[str, Any]], settings: Sequence[str]
) -> dict[str, list[str]]:
    """Return the values of each setting, one per run, by the short name of the setting.

    A setting of the encoder that equals the same setting of the decoder in each run is one setting.
    """
    texts = {key: [_setting(row["settings"][key]) for row in rows] for key in settings}
    joined = {
        key: key.replace("model.encoder.", "model.decoder.")
        for key in settings
        if key.startswith("model.encoder.")
        and texts.get(key.replace("model.encoder.", "model.decoder.")) == texts[key]
    }
    kept = [key for key in settings if key not in joined.values()]
    both = {key: key.replace("model.encoder.", "model.encoder+decoder.") for key in joined}
    names = [both.get(key, key) for key in kept]
    return dict(zip(_short_keys(names), (texts[key] for key in kept), strict=True))


def _short_keys(keys: Sequence[str]) -> list[str]:
    """Return the last part of each key; more parts if last parts are equal or ``name``."""
    shortened = []
    for key in keys:
        parts = key.split(".")
        size = 2 if parts[-1] == "name" and len(parts) > 1 else 1
        while size < len(parts) and _ends(keys, parts[-size:]) > 1:
            size += 1
        shortened.append(".".join(parts[-size:]))
    return shortened


def _ends(keys: Sequence[str], end: Sequence[str]) -> int:
    return sum(key.split(".")[-len(end) :] == list(end) for key in keys)


def _setting(value: Any) -> str:
    if value is None:
        return ABSENT
    return printable(value if isinstance(value, str) else json.dumps(value))


def _figure(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if value is None:
        return ABSENT
    text = _FIGURES[name][1](value)
    if name == "bleu" and row.get("bleu_interval") is not None:
        text += f" ± {row['bleu_interval']:.2f}"
        if row["bleu_p_value"] is not None:
            mark = "*" if row["bleu_p_value"] < SIGNIFICANT else ""
            text += f" (p = {row['bleu_p_value']:.4f}){mark}"
    return text


def _seeds(seeds: Mapping[str, Any]) -> list[str]:
    """Return lines about runs that differ only in their seed."""
    scores = [
        f"{_FIGURES[name][0]} {_two_decimals(seeds[name]['mean'])} ± "
        f"{_two_decimals(seeds[name]['deviation'])}"
        for name in ("bleu", "chrf", "ter", "perplexity", "valid_bleu", "aer")
        if seeds[name] is not None
    ]
    runs = ", ".join(map(printable, seeds["runs"]))
    count = len(seeds["runs"])
    return [f"{runs}: {count} seeds, mean ± standard deviation: {', '.join(scores)}"]


def _configurations(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return lines about the differences between configurations, tested over their seeds."""
    if not configurations:
        return [
            "Each configuration has one run, so p is about these models, not about their settings: "
            "two seeds of one configuration can differ as much. Train several seeds to compare "
            "settings."
        ]
    first, *others = configurations
    if not others:
        return ["These runs differ only in their seed: there is no difference of settings."]
    return [
        "Settings compared over seeds and test text, each with the first "
        f"({', '.join(map(printable, first['runs']))}, mean BLEU {first['bleu']:.2f}):",
        *(
            f"  {', '.join(map(printable, one['runs']))}: mean BLEU {one['bleu']:.2f}, difference "
            f"{one['bleu_difference']:+.2f}, {_verdict(one['bleu_p_value'])}"
            for one in others
        ),
    ]


def _verdict(p_value: float | None) -> str:
    if p_value is None:
        return "no p-value: both have one run, so the variation between seeds is unknown"
    return (
        f"p = {p_value:.4f}: {'a difference' if p_value < SIGNIFICANT else 'no difference shown'}"
    )


def explanations(comparison: Mapping[str, Any]) -> list[str]:
    """Return lines that explain the table: means over seeds, test, signature, notes."""
    lines = [line for seeds in comparison["seeds"] for line in _seeds(seeds)]
    if comparison["signature"]:
        first = next(row for row in comparison["rows"] if row.get("bleu_interval") is not None)
        lines += [
            f"BLEU of the test text, ± half the 95 % confidence interval, compared with "
            f"{printable(first['name'])}; * p < {SIGNIFICANT}",
            f"BLEU {comparison['signature']}",
            *_configurations(comparison["configurations"]),
        ]
    shown = {name for row in comparison["rows"] for name, value in row.items() if value is not None}
    lines.append(
        f"{'AER in percent; ' if 'aer' in shown else ''}"
        f"{'perplexity of the test text, per piece; ' if 'perplexity' in shown else ''}"
        "tokens/s: target pieces, without validations; minutes: training with validations"
    )
    return lines + [f"note: {note}" for note in comparison["notes"]]


def _csv(comparison: Mapping[str, Any]) -> str:
    text = io.StringIO()
    settings = comparison["settings"]
    figures = [*_FIGURES, "bleu_interval", "bleu_p_value", "bleu_signature"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "folder", "status", *settings, *figures])
    for row in comparison["rows"]:
        values = [row["settings"][key] for key in settings] + [row.get(name) for name in figures]
        shown = ["" if value is None else value for value in values]
        writer.writerow([row["name"], row["folder"], row["status"], *shown])
    return text.getvalue().removesuffix("\n")


def _latex(comparison: Mapping[str, Any]) -> str:
    def line(texts: Sequence[str]) -> str:
        return " & ".join("".join(_LATEX.get(c, c) for c in text) for text in texts) + r" \\"

    tables = []
    for head, cells, left in tables_of(comparison):
        tables += [
            rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(head) - left)}}}",
            r"\toprule",
            line(head),
            r"\midrule",
            *map(line, cells),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    return "\n".join([*tables, *(f"% {text.strip()}" for text in explanations(comparison))])
