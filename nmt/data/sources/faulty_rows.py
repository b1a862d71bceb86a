"""Leaves out the faulty records of a source, and refuses a source with too many of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from nmt.data.locations import SHOWN
from nmt.data.sources import fault_messages
from nmt.data.sources.encodings import UNDECODED
from nmt.data.sources.fingerprint import fingerprint_parts
from nmt.data.sources.pair_source import (
    DataFault,
    FaultKind,
    FaultSink,
    PairChunk,
    PairSource,
    refuse,
)
from nmt.data.sources.spreadsheet_errors import is_spreadsheet_error, may_have_errors

_EXAMPLES = 3  # faults in the message of a refusal


@dataclass(frozen=True)
class WithoutFaultyRows:
    """A source without its faulty records, e.g. with a missing column or a formula error.

    Attributes:
        pairs: The source.
        most: Maximum share of faulty records; with more, the source is refused.
    """

    pairs: PairSource
    most: float

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.pairs.name

    def fingerprint(self) -> str:
        """Return a hash of the source and of the accepted share.

        Raises:
            UserError: A file cannot be read.
        """
        return fingerprint_parts(self.pairs.fingerprint().encode(), repr(self.most).encode())

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield the intact pairs; at the end, report the faulty records or refuse the source."""
        faulty = _FaultyRows(on_fault)
        for chunk in self.pairs.chunks(size, faulty):
            if intact := faulty.left_out_of(chunk):
                yield intact
        faulty.report(self.name, self.most)


class _FaultyRows:
    """A fault sink that counts faulty records, and passes other faults on."""

    def __init__(self, on_fault: FaultSink) -> None:
        self._on_fault = on_fault
        self._first: dict[str, list[DataFault]] = {}
        self._counts: dict[str, int] = {}
        self._pairs = 0
        self._beyond_ascii = 0  # decoded pairs with characters beyond ASCII

    def __call__(self, fault: DataFault) -> None:
        if fault.kind != FaultKind.ROW:
            self._on_fault(fault)
            return
        self._counts[fault.rule] = self._counts.get(fault.rule, 0) + fault.count
        kept = self._first.setdefault(fault.rule, [])
        if len(kept) < SHOWN:
            kept.append(fault)

    def left_out_of(self, chunk: PairChunk) -> PairChunk | None:
        """Return a chunk without formula errors and undecoded texts; None: no pair is left."""
        whole = "\n".join((*chunk.sources, *chunk.targets))
        if not whole.isascii():
            both = zip(chunk.sources, chunk.targets, strict=True)
            self._beyond_ascii += sum(not one.isascii() or not two.isascii() for one, two in both)
        if may_have_errors(whole):
            chunk = self._without_errors(chunk)
        if UNDECODED in whole:
            both = zip(chunk.sources, chunk.targets, strict=True)
            intact = [i for i, pair in enumerate(both) if not any(UNDECODED in t for t in pair)]
            self._beyond_ascii -= len(chunk) - len(intact)
            chunk = chunk.chosen(intact)
        self._pairs += len(chunk)
        return chunk if len(chunk) else None

    def _without_errors(self, chunk: PairChunk) -> PairChunk:
        intact = []
        for i, pair in enumerate(zip(chunk.sources, chunk.targets, strict=True)):
            if errors := [text for text in pair if is_spreadsheet_error(text)]:
                self(fault_messages.spreadsheet_error(chunk.source_file, chunk.lines[i], errors[0]))
            else:
                intact.append(i)
        return chunk.chosen(intact)

    def report(self, name: str, most: float) -> None:
        """Report the faulty records; if there are too many, first a fault that is refused."""
        faulty = sum(self._counts.values())
        rows = self._pairs + faulty
        for fault in self._refused(name, faulty, rows, most):
            self._first.pop(fault.rule, None)
            self._on_fault(fault)
        for rule, first in self._first.items():
            more = self._counts[rule] - len(first)
            for number, fault in enumerate(first):
                count = fault.count + (more if number == len(first) - 1 else 0)
                self._on_fault(replace(fault, kind=FaultKind.LEFT_OUT, count=count))

    def _refused(self, name: str, faulty: int, rows: int, most: float) -> list[DataFault]:
        undecoded = self._counts.get("not_utf8", 0)
        if undecoded > self._beyond_ascii:  # the file as a whole has another encoding
            fault = self._first["not_utf8"][0]
            return [replace(fault, kind=FaultKind.FILE, count=undecoded)]
        if faulty <= most * rows:
            return []
        if faulty == 1:
            fault = next(iter(self._first.values()))[0]
            message = f"{fault.message}; data.max_faulty={_share(rows)} leaves it out"
            return [replace(fault, message=message)]
        kinds = sorted((faults[0] for faults in self._first.values()), key=lambda f: f.line or 0)
        examples = [fault.message for fault in kinds[:_EXAMPLES]]
        return [fault_messages.too_many_faulty(name, faulty, rows, most, examples)]


def _share(rows: int) -> str:
    """Return a share that accepts one faulty row, rounded up."""
    return f"{math.ceil(10_000 / max(1, rows)) / 10_000:g}"
