"""The choices of `nmt translate` for lines that are faulty."""

from enum import StrEnum


class LineErrors(StrEnum):
    """What happens at a line that cannot be translated."""

    STRICT = "strict"
    """All lines before it are translated; then the command ends with an error."""
    REPLACE = "replace"
    """Its undecodable bytes become U+FFFD. For a line with another fault, see ``SKIP_BLANK``."""
    SKIP_BLANK = "skip-blank"
    """Its output line is empty."""
