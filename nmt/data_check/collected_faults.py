"""Collects the faults of files, so that all of them are found in one reading."""

from nmt.data.locations import SHOWN
from nmt.data.sources.pair_source import DataFault


class CollectedFaults:
    """A fault sink that counts faults and lets reading continue.

    Attributes:
        counts: Number of faults by rule.
        first: The first `SHOWN` faults of each rule.
    """

    def __init__(self) -> None:
        """Start without faults."""
        self.counts: dict[str, int] = {}
        self.first: dict[str, list[DataFault]] = {}

    def __call__(self, fault: DataFault) -> None:
        """Count a fault."""
        self.counts[fault.rule] = self.counts.get(fault.rule, 0) + fault.count
        kept = self.first.setdefault(fault.rule, [])
        if len(kept) < SHOWN:
            kept.append(fault)

    def note(self, rule: str, file: str, message: str) -> None:
        """Count a fault of a file as a whole."""
        self(DataFault(rule, file, None, message))

    def __bool__(self) -> bool:
        """Return whether training refuses one of the faults."""
        return any(fault.is_refused for first in self.first.values() for fault in first)
