"""All layers and heads of one sentence in one picture: layers down, heads across.

Shapes: L layers, H heads, T target length, S source length. Lengths are inches.
matplotlib is imported only when something is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nmt.reporting.attention_record import AttentionRecord
from nmt.reporting.heatmaps.heatmap import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_heatmap_grid(record: AttentionRecord) -> Figure:
    """Draw L rows of H heatmaps on the one scale 0..1, tokens named along the outer edges.

    Cells shrink as panels and tokens grow in number; where they are smaller than a line of text,
    every second or third token is named.
    """
    from nmt.reporting.heatmaps.grid_figure import draw

    return draw(record)


def save_heatmap_grid(record: AttentionRecord, path: Path) -> None:
    """Write the grid to `path`, in the format its suffix names.

    Missing folders are made. The file appears complete or not at all.

    Raises:
        ValueError: the suffix is none of .pdf, .png, .svg.
    """
    save_figure(lambda: draw_heatmap_grid(record), path)
