"""Checkpoints of a run: saved, loaded to resume on the same text, averaged."""
