"""An HTML page that shows attention weights beside other measures of importance.

The page is one file that works offline; see `self_contained`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.durable_file import atomic_write
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.pages.self_contained import fill_page, printable
from nmt.reporting.pages.weight_map import weight_map

NAMES = {
    "erasure": "leave-one-out erasure",
    "exhaustive": "exhaustive erasure",
    "gradient": "gradient × embedding",
    "rollout": "attention rollout",
}


@dataclass(frozen=True)
class ComparedSentence:
    """A sentence with its pictures.

    Attributes:
        source_text: The sentence.
        target_text: Its translation.
        maps: The heatmaps, each with its title; values from 0 to 1.
        note: The figures of this sentence.
    """

    source_text: str
    target_text: str
    maps: Sequence[Heatmap]
    note: str


def save_faithfulness_page(
    report: Mapping[str, Any],
    sentences: Sequence[ComparedSentence],
    path: Path,
    title: str,
    version: str,
) -> None:
    """Write a page. The file appears complete or not at all.

    Args:
        report: `nmt.evaluation.attention.faithfulness_report.FaithfulnessReport.plain`.
        sentences: The sentences to draw.
        path: The file; missing folders are created.
        title: The heading.
        version: The version of nmt.
    """
    head = "mean of the heads" if report["head"] is None else f"head {report['head']}"
    page = fill_page(
        "faithfulness_page",
        {
            "title": _text(title),
            "subtitle": f"{report['sentences']:,} sentences, {report['pieces']:,} target pieces; "
            f"layer {report['layer']}, {head}; "
            f"sentences short enough for exhaustive erasure: {report['short']:,}",
            "reading": "\n".join(f"<p>{_text(line)}</p>" for line in report["reading"]),
            "figures": _figures(report),
            "sentences": "\n".join(_sentences(sentences)),
            "version": _text(version),
        },
        styles=("weight_map",),
    )
    with atomic_write(path) as partial:
        partial.write_text(page, encoding="utf-8", newline="\n")


def figure_rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield rows of the table of figures: description, figure, 95 % confidence interval.

    The interval of a figure that has none is empty text.
    """
    for name, mean in report["agreement"].items():
        yield (f"order of the weights and of {NAMES[name]}, tau", *_mean(mean))
    yield ("order of erasure and of gradient × embedding, tau", *_mean(report["among_measures"]))
    if report["erasures_agree"] is not None:
        yield ("order of both erasures, tau", *_mean(report["erasures_agree"]))
    for name, mean in report["same_best"].items():
        yield (f"same most important piece: weights and {NAMES[name]}", *_mean(mean))
    if report["erasures_same_best"] is not None:
        yield ("same most important piece: both erasures", *_mean(report["erasures_same_best"]))
    permuted = f"change of the prediction, weights permuted (median of {report['permutations']})"
    yield (permuted, *_mean(report["permuted"]))
    yield ("change of the prediction, weights equal", *_mean(report["uniform"]))


def _mean(mean: Mapping[str, float]) -> tuple[str, str]:
    known = math.isfinite(mean["low"])
    interval = f"({mean['low']:.3f} to {mean['high']:.3f})" if known else ""
    return f"{mean['value']:.3f}", interval


def _figures(report: Mapping[str, Any]) -> str:
    rows = [
        f'<tr><th scope="row">{_text(what)}</th><td>{value}</td><td>{confidence}</td></tr>'
        for what, value, confidence in figure_rows(report)
    ]
    return f'<table class="figures"><tbody>{"".join(rows)}</tbody></table>'


def _sentences(sentences: Sequence[ComparedSentence]) -> Iterator[str]:
    for number, one in enumerate(sentences, start=1):
        pictures = "".join(
            f"<figure><figcaption>{_text(heatmap.title)}</figcaption>"
            f'<div class="scroll">{weight_map(heatmap)}</div></figure>'
            for heatmap in one.maps
        )
        yield (
            f'<section aria-labelledby="sentence-{number}">'
            f'<h2 id="sentence-{number}" dir="auto">{number}. {_text(one.source_text)}</h2>'
            f'<p class="given" dir="auto">{_text(one.target_text)}</p>'
            f'<p class="note">{_text(one.note)}</p>'
            f'<div class="pictures">{pictures}</div></section>'
        )


def _text(text: str) -> str:
    return html.escape(printable(text))
