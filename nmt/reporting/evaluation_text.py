"""The text of `nmt evaluate`: one line per score, a table for several systems, and details."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nmt.printable import printable
from nmt.reporting.score_names import SCORE_NAMES, SIGNIFICANT
from nmt.reporting.text_table import aligned

_TESTS = {
    "bootstrap": "paired bootstrap (Koehn 2004)",
    "randomization": "paired approximate randomization (Riezler and Maxwell 2005)",
}

_ROUGE = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}


def evaluation_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a report.

    Args:
        report: `nmt.evaluation.evaluation_report.EvaluationReport.plain`.
    """
    systems = report["systems"]
    yield from _single(systems[0]) if len(systems) == 1 else _several(report)
    for way, rows in report["groups"].items():
        yield ""
        yield from _group_table(way, rows, [system["name"] for system in systems])
    if report["groups"]:
        yield ""
        yield from _statistics(systems)
    yield from _sentences("worst sentences", report["worst"], systems)
    yield from _sentences("most different sentences", report["different"], systems)
    for note in report["notes"]:
        yield f"note: {note}"


def _single(system: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per score: value, confidence interval and signature."""
    for metric, label in SCORE_NAMES.items():
        if metric in system:
            interval = system.get(f"{metric}_interval")
            spread = "" if interval is None else f" ± {interval:.2f}"
            yield f"{label:<7} {system[metric]:6.2f}{spread}  {system[f'{metric}_signature']}"
    yield from _others(system)


def _several(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of all systems, their differences from the first one, and the signatures."""
    systems = report["systems"]
    metrics = [metric for metric in SCORE_NAMES if metric in systems[0]]
    rows = [
        [printable(system["name"]), *(_value(system, metric) for metric in metrics)]
        for system in systems
    ]
    yield from aligned(["system", *(SCORE_NAMES[metric] for metric in metrics)], rows, 1)
    yield ""
    for system in systems:
        yield from _others(system, f"{printable(system['name'])}: ")
    if report["test"] is not None:
        yield from _differences(systems, metrics)
        intervals = any(f"{metric}_interval" in systems[0] for metric in metrics)
        half = "± is half the 95 % confidence interval; " if intervals else ""
        yield (
            f"{half}p: the probability of such a difference by chance, "
            f"by {_TESTS[report['test']]}; significant: p < {SIGNIFICANT}"
        )
    for metric in metrics:
        yield f"{SCORE_NAMES[metric]} {systems[0][f'{metric}_signature']}"


def _value(system: Mapping[str, Any], metric: str) -> str:
    interval, p_value = system.get(f"{metric}_interval"), system.get(f"{metric}_p_value")
    spread = "" if interval is None else f" ± {interval:.2f}"
    chance = "" if p_value is None else f" (p = {p_value:.4f})"
    return f"{system[metric]:.2f}{spread}{chance}"


def _differences(systems: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Iterator[str]:
    """Yield one sentence per further system: the metrics by which it differs from the first."""
    first = printable(systems[0]["name"])
    for system in systems[1:]:
        better: list[str] = []
        worse: list[str] = []
        for metric in metrics:
            p_value = system.get(f"{metric}_p_value")
            if p_value is not None and p_value < SIGNIFICANT:
                higher = system[metric] > systems[0][metric]
                (better if higher == (metric != "ter") else worse).append(SCORE_NAMES[metric])
        found = [
            f"is significantly {word} than {first} by {_listed(labels)}"
            for word, labels in (("better", better), ("worse", worse))
            if labels
        ]
        name = printable(system["name"])
        same = all(system[metric] == systems[0][metric] for metric in metrics)
        none = "has the same scores as" if same else "does not differ significantly from"
        yield f"{name} {' and '.join(found) or f'{none} {first}'}"


def _listed(labels: Sequence[str]) -> str:
    *before, last = labels
    return f"{', '.join(before)} and {last}" if before else last


def _others(system: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """Yield the scores that sacreBLEU does not compute."""
    if "comet" in system:
        yield f"{name}COMET {system['comet']:.4f}"
    if "rouge_signature" in system:
        for kind, label in _ROUGE.items():
            yield f"{name}{label} {system[kind]:6.2f}  {system['rouge_signature']}"
    if "exact_match" in system:
        yield f"{name}exact match {system['exact_match']:.2f} %"
    if "tokenized_lowercase_bleu" in system:
        yield (
            f"{name}tokenized lower-cased BLEU, for comparison with older papers only: "
            f"{system['tokenized_lowercase_bleu']:.2f}  "
            f"{system['tokenized_lowercase_bleu_signature']}"
        )


def _group_table(
    way: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> Iterator[str]:
    cells = [
        [printable(row["name"]), f"{row['sentences']:,}", *(f"{v:.2f}" for v in row["scores"])]
        for row in rows
    ]
    label = SCORE_NAMES[rows[0]["metric"]]
    heads = [label] if len(names) == 1 else [printable(name) for name in names]
    yield from aligned([f"{label} by {way}", "sentences", *heads], cells, 1)
    yield f"{label} {rows[0]['signature']}"


def _statistics(systems: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a table of the output statistics of each system."""
    heads = ["length ratio", "empty", "copies of the source", "repetitive", "truncated"]
    rows = []
    for system in systems:
        counts = system["statistics"]
        values = [counts[name] for name in ("empty", "copies", "repetitive", "truncated")]
        texts = ["unknown" if value is None else f"{value:,}" for value in values]
        rows.append([printable(system["name"]), f"{counts['length_ratio']:.3f}", *texts])
    yield from aligned(["system", *heads], rows, 1)


def _sentences(
    title: str, rows: Sequence[Mapping[str, Any]], systems: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Yield ranked sentences with source, reference, translations and chrF2."""
    if not rows:
        return
    yield ""
    yield f"{title}, by chrF2:"
    for row in rows:
        yield ""
        if row["source"] is not None:
            yield f"line {row['number']:,}  source     {printable(row['source'])}"
        yield f"line {row['number']:,}  reference  {printable(row['reference'])}"
        for system, text, value in zip(systems, row["translations"], row["chrf"], strict=True):
            yield f"{value:6.2f}  {printable(text)}  [{printable(system['name'])}]"
