"""Which checkpoints are kept, their arithmetic mean, and the check of a saved state."""
