"""Attention heatmaps: their data, their figures, and their output as files or pixels.

`heatmap` holds the data and needs only NumPy. `single_figure`, `grid_figure` and `picture_figure`
draw with matplotlib. `rendering` imports them only when it draws, so a run without pictures does
not load matplotlib.
"""
