"""What happens to lines that are longer than the sentences of training."""

from enum import StrEnum


class LongLines(StrEnum):
    """What happens to a line with more pieces than the sentences of training."""

    SPLIT = "split"
    """It is cut at sentence ends, and the translations of its parts are joined."""
    REFUSE = "refuse"
    """It is a line that cannot be translated; see `LineErrors`."""
    WHOLE = "whole"
    """It is translated as it is."""
