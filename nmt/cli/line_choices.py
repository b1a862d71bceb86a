"""The choices of `nmt translate` for lines that are faulty or long."""

from enum import StrEnum


class LineErrors(StrEnum):
    """What happens at a line that cannot be translated."""

    STRICT = "strict"
    """All lines before it are translated; then the command ends with an error."""
    REPLACE = "replace"
    """Its undecodable bytes become U+FFFD. A line with another fault is skipped as below."""
    SKIP_BLANK = "skip-blank"
    """Its output line is empty."""


class LongLines(StrEnum):
    """What happens to a line with more pieces than the sentences of training."""

    SPLIT = "split"
    """It is cut at sentence ends, and the translations of its parts are joined."""
    REFUSE = "refuse"
    """It is a line that cannot be translated; see `LineErrors`."""
    WHOLE = "whole"
    """It is translated as it is."""
