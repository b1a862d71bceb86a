"""The interface through which preparation makes a report on the corpus."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nmt.data.corpus import ParallelText
from nmt.data.pair_outlines import TextOutline
from nmt.data.preparation.dropped_pairs import DropTable
from nmt.data.sources.pair_source import DataFault, PairChunk
from nmt.text.tokenizer import TokenizerPair

Inspector = Callable[[PairChunk, PairChunk], Any]
"""Takes a chunk before and after cleaning, and returns its findings. Worker processes run it."""


@dataclass(frozen=True)
class PreparedText:
    """What a report needs from the end of a preparation.

    Attributes:
        outlines: The pairs of each split.
        dropped: The training pairs that were dropped.
        tokenizers: The tokenizers of both sides.
        held_out: Validation and, if there is one, test.
    """

    outlines: Mapping[str, TextOutline]
    dropped: DropTable
    tokenizers: TokenizerPair
    held_out: Sequence[ParallelText]


class CorpusReport(Protocol):
    """A report on a corpus."""

    def short_lines(self) -> list[str]:
        """Return the lines for the head of a training log."""


class CorpusReporter(Protocol):
    """Makes the report on one corpus. The report is cached with the prepared data."""

    @property
    def inspector(self) -> Inspector:
        """The function that inspects each chunk; it is pickled for each one, so must be small."""

    def collect(self, split: str, inspected: Any) -> None:
        """Add the inspector's result for the next chunk of a split."""

    def note(self, split: str, fault: DataFault) -> None:
        """Add a fault of a split that training does not refuse."""

    def write(self, folder: Path, prepared: PreparedText) -> None:
        """Write the report into the folder of the prepared data."""

    def read(self, folder: Path) -> CorpusReport:
        """Read the report that `write` wrote.

        Raises:
            OSError: The file cannot be read.
            ValueError, KeyError, TypeError: It is damaged.
        """
