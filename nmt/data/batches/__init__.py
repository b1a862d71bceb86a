"""Batches: which pairs an update trains on, their padded or packed tensors, and the loader."""
