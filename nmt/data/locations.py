"""How often something was found, and where first."""

from collections.abc import Iterable
from dataclasses import dataclass, field

SHOWN = 5  # places kept of each thing found
_EXCERPT = 60


@dataclass(frozen=True)
class Place:
    """Where something stands.

    Attributes:
        file: The file; of the side that is at fault, where each has its own.
        line: Line, row or unit there, from 1; None where it is the file as a whole.
        text: What stands there, shortened, unseen characters escaped.
    """

    file: str
    line: int | None
    text: str = ""

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}, line {self.line:,}"


@dataclass
class Tally:
    """A count and the first places."""

    count: int = 0
    places: list[Place] = field(default_factory=list)

    def add(self, count: int, places: Iterable[Place]) -> None:
        """Count more, found behind what was counted so far."""
        self.count += count
        for place in places:
            if len(self.places) >= SHOWN:
                break
            self.places.append(place)

    def absorb(self, later: "Tally") -> None:
        """Add what was found further on."""
        self.add(later.count, later.places)


def excerpt(text: str, around: int = 0) -> str:
    """Return at most 60 characters of a text, those that cannot be seen as escapes.

    Args:
        text: Of any length.
        around: The character that has to be among them.
    """
    start = max(0, min(around - _EXCERPT // 2, len(text) - _EXCERPT))
    cut = text[start : start + _EXCERPT]
    seen = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return f"{'…' if start else ''}{seen}{'…' if start + _EXCERPT < len(text) else ''}"
