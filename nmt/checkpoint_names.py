"""The names of the checkpoints in a run folder, defined only here."""

LAST, BEST, AVERAGED = "last.pt", "best.pt", "averaged.pt"
"""The newest checkpoint, the best by its validation score, and the mean of several."""

EXPORT = "nmt.json"
"""The file by which the folder of an export is recognized."""
