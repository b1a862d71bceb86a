"""Sizes that the figure of one heatmap and the grid of heatmaps share. Lengths are inches."""

import numpy as np

SCREEN_DPI = 100
MARGIN = 0.15  # around the figure
LABEL_GAP = 0.075  # between a label and the matrix
BAR_GAP, BAR_WIDTH, BAR_LABELS = 0.16, 0.09, 0.3  # of the color bar
MINIMUM_WIDTH = 3.2  # of a figure with a title
SMALLEST_GRID = 0.15  # cells smaller than this have no lines between them
MAXIMUM_MATRIX = 36.0


def cell_size(tokens: int) -> float:
    """Return the side of a cell: 0.34 for up to 12 tokens, falling linearly to 0.2 for 60 or more.

    It is smaller only if the matrix would otherwise be larger than 36 inches.
    """
    comfortable = float(np.interp(tokens, [12, 60], [0.34, 0.2]))
    return min(comfortable, MAXIMUM_MATRIX / tokens)
