"""Packed batches: all pairs of a pass in one row per side, of one length in the whole run."""

from nmt.data.batching import UpdateBatches


class PackedBatches(UpdateBatches):
    """An endless stream of updates in packed batches."""
