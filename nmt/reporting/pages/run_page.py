"""The HTML page and the Markdown page of one run, each made from a template.

The HTML page is one file that works offline; see `self_contained`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.pages.line_chart import Line, line_chart
from nmt.reporting.pages.self_contained import render_page, render_text
from nmt.reporting.pages.weight_map import weight_map


@dataclass(frozen=True)
class SampleHistory:
    """A validation sentence and its translations during the training.

    Attributes:
        source: The sentence.
        reference: Its reference translation.
        translations: Update and translation, for each update at which the translation changed.
    """

    source: str
    reference: str
    translations: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class RunPage:
    """The content of the page of a run.

    Attributes:
        name: Name of the run.
        subtitle: Kind of model, languages, status.
        scores: Scored text, name, value and signature of each score.
        figures: Name and value of sizes and times.
        charts: Heading and curves of each chart.
        heatmaps: The latest attention of the validation samples.
        hidden_heatmaps: Number of heatmaps for which the page has no room.
        samples: The validation samples with their translations during training.
        hidden_translations: Number of earlier translations for which the page has no room.
        corpus: Lines about the training text.
        settings: Key, value and default of the settings that differ from their defaults.
        command: The command line; empty: unknown.
        environment: Versions and device, by name.
        version: The version of nmt.
    """

    name: str
    subtitle: str
    scores: Sequence[tuple[str, str, str, str]]
    figures: Sequence[tuple[str, str]]
    charts: Sequence[tuple[str, Sequence[Line]]]
    heatmaps: Sequence[Heatmap]
    hidden_heatmaps: int
    samples: Sequence[SampleHistory]
    hidden_translations: int
    corpus: Sequence[str]
    settings: Sequence[tuple[str, str, str]]
    command: str
    environment: Mapping[str, str]
    version: str


def run_html(page: RunPage) -> str:
    """Return the HTML page."""
    values = {
        **vars(page),
        "charts": [Markup(line_chart(lines, "updates", title)) for title, lines in page.charts],
        "heatmaps": [(one.title, Markup(weight_map(one))) for one in page.heatmaps],
    }
    return render_page("run_page", values, styles=("weight_map", "line_chart"))


def run_markdown(page: RunPage) -> str:
    """Return the page as Markdown, without charts and heatmaps."""
    return render_text("run_page", vars(page))
