"""Collects what is wrong with the files themselves, so that one reading tells of all of it."""

from nmt.data.locations import SHOWN
from nmt.data.sources.pair_source import DataFault


class CollectedFaults:
    """A sink of faults that lets reading go on: it counts, and keeps the first of each rule."""

    def __init__(self) -> None:
        """Know of none."""
        self.counts: dict[str, int] = {}
        self.first: dict[str, list[DataFault]] = {}

    def __call__(self, fault: DataFault) -> None:
        """Take note of a fault."""
        self.counts[fault.rule] = self.counts.get(fault.rule, 0) + 1
        kept = self.first.setdefault(fault.rule, [])
        if len(kept) < SHOWN:
            kept.append(fault)

    def note(self, rule: str, file: str, message: str) -> None:
        """Take note of a fault of a file as a whole."""
        self(DataFault(rule, file, None, message))

    def __bool__(self) -> bool:
        return bool(self.counts)
