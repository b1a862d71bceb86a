"""The results of a sweep: one row per job, as a Markdown table and as plain values for JSON."""

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
    """The result of one job of a sweep.

    Attributes:
        overrides: The values of the job's overrides, by key.
        status: ``finished``, ``failed``, ``interrupted``, or ``killed`` if the process ended
            without reporting its status.
        folder: The run folder; None if the job had none.
        summary: The content of the finished run's ``summary.json``.
        number: The number of the job, from 0.
        score: The validation score of the finished run; larger is better.
        metric: The metric of that score, ``training.best_metric``.
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
    """Return the rows of a study, best score first and rows without a score last."""
    return sorted(rows, key=lambda row: math.inf if row.score is None else -row.score)


def best_line(best: SweepRow) -> str:
    """Return a message about the best trial of a study and the overrides that reproduce it."""
    given = " ".join(f"{key}={value}" for key, value in best.overrides.items())
    return f"best trial {best.number}: validation {best.metric} {_value(best)}\n{given}"


def _value(row: SweepRow) -> str:
    return (
        ABSENT if row.score is None else f"{abs(row.score):.2f}"
    )  # a perplexity is stored negated


def varying_keys(rows: Sequence[SweepRow]) -> list[str]:
    """Return the overrides whose values differ between jobs, in the order given."""
    keys = dict.fromkeys(key for row in rows for key in row.overrides)
    return [key for key in keys if len({row.overrides.get(key) for row in rows}) > 1]


def row_values(row: SweepRow) -> dict[str, Any]:
    """Return the metrics of a finished run on the test set, or on validation if there is no test.

    ``aer`` is in percent. ``tokens_per_second`` counts target pieces trained on and excludes the
    time of validation. ``minutes`` is the time of training and includes validation. Values missing
    from a summary are None.
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
    if summary.get("seconds"):  # a summary of an older version; validation counts as training
        return float(summary["tokens"]) / float(summary["seconds"])
    return None


def markdown(rows: Sequence[SweepRow], *, study: bool = False) -> str:
    """Return the rows as an aligned Markdown table, with the metric signatures below it.

    The table of a study also has the number of each trial and the score that is optimized.
    """
    keys = varying_keys(rows)
    values = [row_values(row) for row in rows]
    cells = [
        [*_trial(row, study), *_labels(row, keys), *_figures(row, value)]
        for row, value in zip(rows, values, strict=True)
    ]
    objective = ["trial", _objective(rows)] if study else []
    head = [*objective, *(keys or ["run"]), *HEADINGS]
    left = len(objective) + (len(keys) or 1)
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
    """Round a sampled number; the JSON file has all of its digits."""
    if len(label) > 10 and re.fullmatch(r"[\d.]+(e-?\d+)?", label):
        return f"{float(label):.4g}"
    return label


def _trial(row: SweepRow, study: bool) -> list[str]:
    return [str(row.number), _value(row)] if study else []


def _objective(rows: Sequence[SweepRow]) -> str:
    return f"valid {next((row.metric for row in rows if row.metric), 'score')}"


def _reasons(rows: Sequence[SweepRow]) -> Iterator[str]:
    """Yield why jobs failed. The user has not seen the errors of jobs on other machines."""
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
    """Yield the lines of a table: the first `left` columns aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    widths = [max(3, width) for width in widths]

    def line(texts: Sequence[str]) -> str:
        padded = (
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(texts, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    yield line(head)
    rules = ["-" * w if column < left else "-" * (w - 1) + ":" for column, w in enumerate(widths)]
    yield line(rules)
    yield from map(line, cells)


def _notes(values: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what was measured: the split and the BLEU signature, once if all rows share them."""
    measured: dict[tuple[str, str], list[int]] = {}
    for number, value in enumerate(values, start=1):
        if value["split"] is not None:
            measured.setdefault((value["split"], value["signature"]), []).append(number)
    if len(measured) > 1:
        yield "The rows were measured differently, so their scores cannot be compared:"
    for (split, signature), numbers in measured.items():
        which = f"rows {', '.join(map(str, numbers))}: " if len(measured) > 1 else ""
        yield f"{which}scores of the {_SPLITS[split]} set, BLEU {signature}"
    if measured:
        yield "AER in percent; tokens/s: target pieces without validation; minutes: with validation"


_SPLITS = {"test": "test", "valid": "validation"}
