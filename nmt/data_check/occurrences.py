"""The number of times that a rule is broken, and the first locations."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nmt.data.locations import SHOWN, Location


@dataclass
class Occurrences:
    """A count and the first `SHOWN` locations."""

    count: int = 0
    locations: list[Location] = field(default_factory=list)

    def add(self, count: int, locations: Iterable[Location]) -> None:
        """Add occurrences that follow those counted so far."""
        self.count += count
        for location in locations:
            if len(self.locations) >= SHOWN:
                break
            self.locations.append(location)

    def absorb(self, later: "Occurrences") -> None:
        """Add the occurrences of a later part of the text."""
        self.add(later.count, later.locations)
