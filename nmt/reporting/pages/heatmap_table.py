"""A heatmap as an HTML table for notebooks, without script or file, in the browser's fonts."""

from __future__ import annotations

import html
import math

from nmt.printable import printable
from nmt.reporting.heatmaps.colors import MISSING, WHITE_TO_NAVY
from nmt.reporting.heatmaps.heatmap import Heatmap

_CELL = "width:1.6em;height:1.6em;padding:0;border:1px solid #c8c8c8"
_ROW = "text-align:right;padding:0 .4em;font-weight:normal;white-space:nowrap"
_COLUMN = f"writing-mode:vertical-rl;transform:rotate(180deg);{_ROW};text-align:left"


def heatmap_table(heatmap: Heatmap) -> str:
    """Return the table: target words are rows, source words are columns.

    The color of a cell shows its weight. The number is the title of the cell, which a browser shows
    at the pointer, and its label for screen readers.
    """
    head = "".join(
        f'<th scope="col" style="{_COLUMN}">{_text(word)}</th>' for word in heatmap.source
    )
    rows = [
        f'<tr><th scope="row" style="{_ROW}">{_text(word)}</th>'
        + "".join(_cell(float(weight)) for weight in weights)
        + "</tr>"
        for word, weights in zip(heatmap.target, heatmap.weights, strict=True)
    ]
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse">'
        f"<caption>{_text(heatmap.title)}</caption><thead><tr><td></td>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(weight: float) -> str:
    if math.isnan(weight):
        return f'<td style="{_CELL};background:{MISSING}" title="not a number"></td>'
    step = round(min(max(weight, 0.0), 1.0) * (len(WHITE_TO_NAVY) - 1))
    label = f"{weight:.3f}"
    style = f"{_CELL};background:{WHITE_TO_NAVY[step]}"
    return f'<td style="{style}" title="{label}" aria-label="{label}"></td>'


def _text(text: str) -> str:
    return html.escape(printable(text))
