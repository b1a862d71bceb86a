"""Parallel text from its sources to padded batches."""
