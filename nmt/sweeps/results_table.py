"""The table that a sweep ends in: a row a job, in Markdown for people and as plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCORES = ("perplexity", "bleu", "chrf", "aer", "parameters", "tokens_per_second", "minutes")
HEADINGS = ("perplexity", "BLEU", "chrF", "AER", "parameters", "tokens/s", "minutes")
ABSENT = "-"


@dataclass(frozen=True)
class SweepRow:
    """How one job of a sweep ended.

    Attributes:
        overrides: What the job was given, by key.
        status: ``finished``, ``failed``, ``interrupted``, or ``killed`` without leaving a word.
        folder: The run's; None if the job had none.
        summary: The finished run's ``summary.json``.
        number: The job's, from 0.
        score: How good the finished run is on validation; larger is better.
        metric: The name of that: ``training.best_metric``.
        reason: Why the job failed.
    """

    overrides: Mapping[str, str]
    status: str
    folder: str | None = None
    summary: Mapping[str, Any] | None = None
    number: int | None = None
    score: float | None = None
    metric: str | None = None
    reason: str | None = None


def ranked(rows: Sequence[SweepRow]) -> list[SweepRow]:
    """Return the rows of a study, the best first and those without a score last."""
    return sorted(rows, key=lambda row: math.inf if row.score is None else -row.score)


def best_line(best: SweepRow) -> str:
    """Say which trial of a study is the best, and how it is had again."""
    given = " ".join(f"{key}={value}" for key, value in best.overrides.items())
    return f"best trial {best.number}: validation {best.metric} {_value(best)}\n{given}"


def _value(row: SweepRow) -> str:
    return ABSENT if row.score is None else f"{abs(row.score):.2f}"  # perplexity counts negated


def varying_keys(rows: Sequence[SweepRow]) -> list[str]:
    """Return the overrides in which jobs differ, in the order in which they were given."""
    keys = dict.fromkeys(key for row in rows for key in row.overrides)
    return [key for key in keys if len({row.overrides.get(key) for row in rows}) > 1]


def row_values(row: SweepRow) -> dict[str, Any]:
    """Return a finished run's figures: of the test set, or of validation where there is no test.

    ``aer`` is in percent, ``tokens_per_second`` counts target pieces learned from, validations left
    out, and ``minutes`` is training, validations included. What a summary lacks is None.
    """
    summary = row.summary or {}
    split = "test" if "test" in summary else "valid"
    scores = summary.get(split) or {}
    aer = (summary.get("alignment") or {}).get("aer")
    seconds = summary.get("seconds")
    return {
        "split": split if scores else None,
        "perplexity": scores.get("perplexity"),
        "bleu": scores.get("bleu"),
        "chrf": scores.get("chrf"),
        "aer": None if aer is None else 100 * aer,
        "parameters": summary.get("parameters"),
        "tokens_per_second": _speed(summary),
        "minutes": None if seconds is None else seconds / 60,
        "signature": scores.get("signature"),
    }


def _speed(summary: Mapping[str, Any]) -> float | None:
    if "tokens_per_second" in summary:
        return float(summary["tokens_per_second"])
    if summary.get("seconds"):  # of a run from before the speed was kept: validations included
        return float(summary["tokens"]) / float(summary["seconds"])
    return None


def markdown(rows: Sequence[SweepRow], *, study: bool = False) -> str:
    """Return the rows as a Markdown table, aligned for the terminal, with signatures below it.

    A study's has the number of each trial, and the score that the search goes by.
    """
    keys = varying_keys(rows)
    values = [row_values(row) for row in rows]
    cells = [
        [*_trial(row, study), *_labels(row, keys), *_figures(row, value)]
        for row, value in zip(rows, values, strict=True)
    ]
    searched = ["trial", _searched(rows)] if study else []
    head = [*searched, *(keys or ["run"]), *HEADINGS]
    left = len(searched) + (len(keys) or 1)
    notes = [*_reasons(rows), *_notes(values)]
    return "\n".join([*_aligned(head, cells, left), "", *notes, ""])


def plain(rows: Sequence[SweepRow], *, study: bool = False) -> dict[str, Any]:
    """Return the table as plain values, for JSON."""
    keys = varying_keys(rows)
    return {
        "varying": keys,
        "rows": [
            {
                "overrides": dict(row.overrides),
                "status": row.status,
                "reason": row.reason,
                "folder": row.folder,
                **(
                    {"trial": row.number, "metric": row.metric, "score": row.score} if study else {}
                ),
                **row_values(row),
            }
            for row in rows
        ],
    }


def _labels(row: SweepRow, keys: Sequence[str]) -> list[str]:
    found = [row.overrides.get(key, ABSENT) for key in keys] or [row.folder or ABSENT]
    return [_short(label).replace("|", "\\|") for label in found]


def _short(label: str) -> str:
    """Round a number that was drawn: all of its digits are in the JSON."""
    if len(label) > 10 and re.fullmatch(r"[\d.]+(e-?\d+)?", label):
        return f"{float(label):.4g}"
    return label


def _trial(row: SweepRow, study: bool) -> list[str]:
    return [str(row.number), _value(row)] if study else []


def _searched(rows: Sequence[SweepRow]) -> str:
    return f"valid {next((row.metric for row in rows if row.metric), 'score')}"


def _reasons(rows: Sequence[SweepRow]) -> Iterator[str]:
    """Yield why jobs failed: where they ran elsewhere, nobody has seen it yet."""
    for number, row in enumerate(rows, start=1):
        if row.reason is not None:
            yield f"row {number} failed: {row.reason}"


def _figures(row: SweepRow, value: Mapping[str, Any]) -> list[str]:
    if row.status != "finished":
        return [row.status, *[ABSENT] * (len(SCORES) - 1)]
    formats = ("{:.2f}", "{:.2f}", "{:.2f}", "{:.1f}", "{:,}", "{:,.0f}", "{:.1f}")
    return [
        ABSENT if value[name] is None else form.format(value[name])
        for name, form in zip(SCORES, formats, strict=True)
    ]


def _aligned(head: Sequence[str], cells: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    """Yield a table's lines: the first columns flush left, the numbers flush right."""
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    widths = [max(3, width) for width in widths]

    def line(texts: Sequence[str]) -> str:
        padded = (
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(texts, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    yield line(head)
    rules = ["-" * w if place < left else "-" * (w - 1) + ":" for place, w in enumerate(widths)]
    yield line(rules)
    yield from map(line, cells)


def _notes(values: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what the figures are: the split, and the BLEU signature, once if rows share it."""
    measured: dict[tuple[str, str], list[int]] = {}
    for number, value in enumerate(values, start=1):
        if value["split"] is not None:
            measured.setdefault((value["split"], value["signature"]), []).append(number)
    if len(measured) > 1:
        yield "The rows were not measured alike; their scores cannot be compared:"
    for (split, signature), numbers in measured.items():
        which = f"rows {', '.join(map(str, numbers))}: " if len(measured) > 1 else ""
        yield f"{which}scores of the {_SPLITS[split]} set, BLEU {signature}"
    if measured:
        yield "AER in percent; tokens/s: target pieces, validations left out; minutes: all training"


_SPLITS = {"test": "test", "valid": "validation"}
