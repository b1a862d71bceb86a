"""What happens to lines that are longer than the sentences of training."""

from enum import StrEnum


class LongLines(StrEnum):
    """The treatment of a line with more pieces than the longest sentences of training."""

    SPLIT = "split"
    """The line is cut at sentence ends, and the translations of its parts are joined."""
    REFUSE = "refuse"
    """The line counts as one that cannot be translated; see `LineErrors`."""
    WHOLE = "whole"
    """The line is translated without cuts."""
