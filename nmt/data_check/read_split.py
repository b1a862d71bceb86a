"""Reads a split to its end in spite of faults, and inspects all pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nmt.data.sources.pair_source import PairChunk, PairSource
from nmt.data_check.collected_faults import CollectedFaults
from nmt.data_check.even_sample import MOST_SAMPLED, EvenSample
from nmt.data_check.inspection import Inspection
from nmt.errors import UserError

Progress = Callable[[str, int], None]
"""Called with the name of a split and the number of its pairs read so far."""

_CHUNK = 5_000  # pairs


@dataclass
class ReadSplit:
    """The result of reading a split.

    Attributes:
        inspection: The inspection of all pairs.
        faults: The faults of the files.
        sample: An evenly spaced sample of the pairs that training would keep.
    """

    inspection: Inspection = field(default_factory=Inspection)
    faults: CollectedFaults = field(default_factory=CollectedFaults)
    sample: EvenSample = field(default_factory=lambda: EvenSample(MOST_SAMPLED))


def read_split(
    split: str,
    sources: Sequence[PairSource],
    languages: tuple[str, str],
    progress: Progress,
    keep: Callable[[PairChunk], Sequence[int]],
) -> ReadSplit:
    """Read and inspect all sources of a split.

    Args:
        split: Name of the split.
        sources: The sources.
        languages: Codes of the source and the target language.
        progress: Called at the beginning and after each chunk.
        keep: Returns the indices of the pairs of a cleaned chunk that training would keep.
    """
    result = ReadSplit()
    progress(split, 0)
    for source in sources:
        try:
            for chunk in source.chunks(_CHUNK, result.faults):
                clean = result.inspection.inspect(chunk, languages)
                result.sample.add(clean, keep(clean))
                progress(split, result.inspection.pairs)
        except UserError as error:  # raised by the source instead of reported as a fault
            result.faults.note("unreadable", source.name, str(error))
    return result
