"""A run on disk: its folder, checkpoints, initial weights, teacher, final test and reports."""
