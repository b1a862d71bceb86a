"""The table of a sweep's results, one row per job, in Markdown and as JSON values."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.reporting.text_table import aligned
from nmt.sweeps.job_status import JobStatus

FIGURES = {  # the name in JSON: heading and format
    "perplexity": ("perplexity", "{:.2f}"),
    "valid_bleu": ("valid BLEU", "{:.2f}"),
    "bleu": ("BLEU", "{:.2f}"),
    "chrf": ("chrF", "{:.2f}"),
    "aer": ("AER", "{:.1f}"),
    "parameters": ("parameters", "{:,}"),
    "tokens_per_second": ("tokens/s", "{:,.0f}"),
    "minutes": ("minutes", "{:.1f}"),
}
ABSENT = "-"
_SPLITS = {"test": "test", "valid": "validation"}


@dataclass(frozen=True)
class SweepRow:
    """The result of one job of a sweep.

    Attributes:
        overrides: The job's overrides, by key.
        status: How the job ended.
        folder: The run folder; None if the job has none.
        summary: The content of ``summary.json`` of a finished run.
        number: The number of the job, from 0.
        score: The validation score of a finished run; larger is better.
        metric: The name of the score, as in ``training.best_metric``.
        reason: Why the job failed, was skipped or was pruned.
    """

    overrides: Mapping[str, str]
    status: JobStatus
    folder: str | None = None
    summary: Mapping[str, Any] | None = None
    number: int | None = None
    score: float | None = None
    metric: str | None = None
    reason: str | None = None


def ranked(rows: Sequence[SweepRow]) -> list[SweepRow]:
    """Return the rows of a study sorted by score, the best first; rows without a score are last."""

    def order(row: SweepRow) -> float:  # NaN is neither larger nor smaller, so it breaks sorting
        return -row.score if row.score is not None and has_score(row) else math.inf

    return sorted(rows, key=order)


def best_line(best: SweepRow) -> str:
    """Return two lines that name the best trial of a study and the overrides that repeat it.

    The overrides are quoted for a shell.
    """
    given = shlex.join(f"{key}={value}" for key, value in best.overrides.items())
    return f"best trial {best.number}: validation {best.metric} {_value(best)}\n{given}"


def has_score(row: SweepRow) -> bool:
    """Return whether a row has a score that is a number."""
    return row.score is not None and not math.isnan(row.score)


def _value(row: SweepRow) -> str:
    return ABSENT if row.score is None else f"{abs(row.score):.2f}"  # perplexity is negated


def varying_keys(rows: Sequence[SweepRow]) -> list[str]:
    """Return the keys whose values differ between jobs, in the order of the overrides."""
    keys = dict.fromkeys(key for row in rows for key in row.overrides)
    return [key for key in keys if len({row.overrides.get(key) for row in rows}) > 1]


def row_values(row: SweepRow) -> dict[str, Any]:
    """Return the figures of a finished run, on the test set or else on the validation set.

    ``valid_bleu`` is always the BLEU of the validation set. ``aer`` is in percent.
    ``tokens_per_second`` counts target pieces of training and excludes the time of validations.
    ``minutes`` is the training time including validations. A figure that the summary lacks is None.
    """
    summary = row.summary or {}
    split = "test" if "test" in summary else "valid"
    scores = summary.get(split) or {}
    aer = (summary.get("alignment") or {}).get("aer")
    seconds = summary.get("seconds")
    return {
        "split": split if scores else None,
        "perplexity": scores.get("perplexity"),
        "valid_bleu": (summary.get("valid") or {}).get("bleu"),
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
    if summary.get("seconds"):  # older runs lack the speed; their seconds include validations
        return float(summary["tokens"]) / float(summary["seconds"])
    return None


def markdown(rows: Sequence[SweepRow], *, study: bool = False) -> str:
    """Return the rows as a Markdown table, aligned for the terminal, with notes below it.

    The table of a study also has the number of each trial and the score that is maximized.
    """
    keys = varying_keys(rows)
    values = [row_values(row) for row in rows]
    cells = [
        [*_trial(row, study), *_labels(row, keys), *_figures(row, value)]
        for row, value in zip(rows, values, strict=True)
    ]
    objective = ["trial", _objective(rows)] if study else []
    head = [*objective, *(keys or ["run"]), *(heading for heading, _ in FIGURES.values())]
    left = len(objective) + (len(keys) or 1)
    notes = [*_reasons(rows), *_notes(values)]
    return "\n".join([*aligned(head, cells, left), "", *notes, ""])


def plain(rows: Sequence[SweepRow], *, study: bool = False) -> dict[str, Any]:
    """Return the table as JSON values."""
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
    return [_short(label) for label in found]


def _short(label: str) -> str:
    """Round a fraction of a search to 4 digits; the JSON file has all digits."""
    if len(label) > 10 and re.fullmatch(r"\d+(\.\d+(e-?\d+)?|e-\d+)", label):
        return f"{float(label):.4g}"
    return label


def _trial(row: SweepRow, study: bool) -> list[str]:
    return [str(row.number), _value(row)] if study else []


def _objective(rows: Sequence[SweepRow]) -> str:
    return f"valid {next((row.metric for row in rows if row.metric), 'score')}"


def _reasons(rows: Sequence[SweepRow]) -> Iterator[str]:
    """Yield each reason of jobs once: errors of jobs on other machines are not printed here."""
    same: dict[tuple[JobStatus, str], list[int]] = {}
    for number, row in enumerate(rows, start=1):
        if row.reason is not None:
            same.setdefault((row.status, row.reason), []).append(number)
    for (status, reason), numbers in same.items():
        which = f"row{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
        yield f"{which} {status}: {reason}"


def _figures(row: SweepRow, value: Mapping[str, Any]) -> list[str]:
    if row.status != JobStatus.FINISHED:
        return [row.status, *[ABSENT] * (len(FIGURES) - 1)]
    return [
        ABSENT if value[name] is None else form.format(value[name])
        for name, (_, form) in FIGURES.items()
    ]


def _notes(values: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the split and the BLEU signature of the scores, once if all rows share them."""
    measured: dict[tuple[str, str], list[int]] = {}
    for number, value in enumerate(values, start=1):
        if value["split"] is not None:
            measured.setdefault((value["split"], value["signature"]), []).append(number)
    if len(measured) > 1:
        yield "The scores differ in set or signature, so they cannot be compared:"
    for (split, signature), numbers in measured.items():
        which = f"rows {', '.join(map(str, numbers))}: " if len(measured) > 1 else ""
        yield f"{which}scores of the {_SPLITS[split]} set, BLEU {signature}"
    if measured:
        yield (
            "AER in percent; tokens/s: target pieces, without validations; "
            "minutes: training with validations"
        )
