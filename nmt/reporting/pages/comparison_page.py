"""The HTML page and the Markdown page of several runs side by side.

The HTML page is one file that works offline; see `self_contained`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nmt.reporting.comparison_table import TableFormat, comparison_text, explanations, tables_of
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.pages.line_chart import Line, line_chart
from nmt.reporting.pages.self_contained import markdown_text, render_page
from nmt.reporting.pages.weight_map import weight_map


@dataclass(frozen=True)
class ComparedSample:
    """A validation sentence with the translation and the attention of each run.

    Attributes:
        source: The sentence.
        reference: Its reference translation.
        systems: Name, latest translation and attention of each run; None: no attention is known.
    """

    source: str
    reference: str
    systems: list[tuple[str, str, Heatmap | None]]


@dataclass(frozen=True)
class ComparisonPage:
    """The content of the page.

    Attributes:
        title: The heading.
        comparison: The fields of `nmt.run.comparison.run_comparison.Comparison`.
        charts: Heading and curves of each chart.
        different: Test sentences that two runs translated most differently; each has the fields of
            `nmt.evaluation.sentence_ranking.RankedSentence`.
        different_maps: For each of these sentences, the attention of both runs, teacher-forced on
            their own translations; None: unknown.
        compared: The names of these two runs.
        samples: Validation sentences with the attention of each run.
        version: The version of nmt.
    """

    title: str
    comparison: Mapping[str, Any]
    charts: Sequence[tuple[str, Sequence[Line]]]
    different: Sequence[Any]
    different_maps: Sequence[Sequence[Heatmap | None]]
    compared: Sequence[str]
    samples: Sequence[ComparedSample]
    version: str


def comparison_html(page: ComparisonPage) -> str:
    """Return the HTML page."""
    samples = [
        (one.source, one.reference, [_with_map(*system) for system in one.systems])
        for one in page.samples
    ]
    values = {
        **vars(page),
        "charts": [Markup(line_chart(lines, "updates", title)) for title, lines in page.charts],
        "tables": tables_of(page.comparison),
        "explanations": explanations(page.comparison),
        "samples": samples,
        "different": [
            (one, _pictures(page.compared, maps))
            for one, maps in zip(page.different, page.different_maps, strict=True)
        ],
    }
    return render_page("comparison_page", values, styles=("weight_map", "line_chart", "run_page"))


def comparison_markdown(page: ComparisonPage) -> str:
    """Return the table as Markdown."""
    table = comparison_text(page.comparison, TableFormat.MARKDOWN)
    return f"# {markdown_text(page.title)}\n\n{table}\n"


def _pictures(names: Sequence[str], maps: Sequence[Heatmap | None]) -> list[tuple[str, Markup]]:
    pairs = zip(names, maps, strict=True)
    return [(name, Markup(weight_map(heatmap))) for name, heatmap in pairs if heatmap is not None]


def _with_map(name: str, translation: str, heatmap: Heatmap | None) -> tuple[str, str, Markup]:
    return name, translation, Markup("" if heatmap is None else weight_map(heatmap))
