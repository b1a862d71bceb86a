"""The training loop, the update, its objective and optimizer, and the progress of a run."""
