"""A run: its stages, its folder, checkpoints, initial weights, teacher, final test and reports."""
