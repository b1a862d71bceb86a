"""Attention weights as heatmaps: in the terminal and as pictures."""
