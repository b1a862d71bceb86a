"""Batches: the pairs of each update, their padded or packed tensors, and the loader."""
