"""The parts of a run on disk: folder, checkpoints, initial weights, teacher, final test."""
