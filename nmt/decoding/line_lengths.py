"""What happens to lines that are longer than the sentences of training."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from nmt.decoding.constraints import Constraints


class LongLines(StrEnum):
    """The treatment of a line with more pieces than the longest sentences of training."""

    SPLIT = "split"
    """The line is cut at sentence ends, and the translations of its parts are joined."""
    REFUSE = "refuse"
    """The line counts as one that cannot be translated; see `LineErrors`."""
    WHOLE = "whole"
    """The line is translated without cuts."""


class SearchOptions(TypedDict, total=False):
    """Options of `nmt.Model.translate`, with the meaning and defaults of `nmt.Model.search`."""

    beam_size: int | None
    long_lines: str
    max_length: int | None
    constraints: "Constraints | None"
    settings: Mapping[str, object] | None
