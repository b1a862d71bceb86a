"""The treatment of lines that are longer than the sentences of training."""

from enum import StrEnum


class LongLines(StrEnum):
    """The treatment of a line with more pieces than the longest sentences of training."""

    SPLIT = "split"
    """Cut the line at sentence ends, and join the translations of the parts."""
    REFUSE = "refuse"
    """Treat the line as a line that cannot be translated; see `LineErrors`."""
    WHOLE = "whole"
    """Translate the line without cuts."""
