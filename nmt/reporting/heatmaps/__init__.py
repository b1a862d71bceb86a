"""Attention heatmaps: the data of one, how it is drawn, and how it becomes a file or pixels.

`heatmap` holds the data and needs only NumPy. `single_figure` and `grid_figure` draw with
matplotlib. `rendering` imports them when something is drawn, so a run without pictures never loads
matplotlib.
"""
