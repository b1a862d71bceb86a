"""A heatmap as an HTML table for pages: a cell's class sets its color, its title is the weight."""

from __future__ import annotations

import html
import math

from nmt.reporting.heatmaps.colors import WHITE_TO_NAVY
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.pages.self_contained import printable


def weight_map(heatmap: Heatmap) -> str:
    """Return the table: target pieces are rows, source pieces are columns; see weight_map.css."""
    head = "".join(
        f'<th scope="col" class="column"><span>{_text(piece)}</span></th>'
        for piece in heatmap.source
    )
    rows = [
        f'<tr><th scope="row" class="row">{_text(piece)}</th>'
        + "".join(_cell(float(value)) for value in values)
        + "</tr>"
        for piece, values in zip(heatmap.target, heatmap.weights, strict=True)
    ]
    body = "".join(rows)
    return (
        f'<table class="map"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _cell(value: float) -> str:
    if math.isnan(value):
        return '<td title="unknown" aria-label="unknown"></td>'
    step = round(min(max(value, 0.0), 1.0) * (len(WHITE_TO_NAVY) - 1))
    return f'<td class="w{step}" title="{value:.3f}" aria-label="{value:.3f}"></td>'


def _text(text: str) -> str:
    return html.escape(printable(text))
