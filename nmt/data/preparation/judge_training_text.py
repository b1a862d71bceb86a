"""The first pass over the training text: filters judge each pair in worker processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmt.config.filter_settings import FiltersConfig
from nmt.data.corpus import TrainingSource
from nmt.data.filters import (
    KEPT,
    FilterRule,
    Hashes,
    PairFilters,
    Verdicts,
    duplicate_keys,
    first_only,
)
from nmt.data.pair_outlines import ChunkOutline, TextOutline, outline_chunk
from nmt.data.preparation.chunk_workers import map_chunks
from nmt.data.preparation.corpus_reporter import Inspector
from nmt.data.sources.pair_source import FaultSink, PairChunk, clean_chunk, refuse, with_tag

CHUNK = 20_000  # pairs read, judged and encoded together

Progress = Callable[[str, int, int | None], None]
"""Called with the name of a stage, the number of pairs done, and the total or None.

A stage that does not count pairs gives 0 and None."""


@dataclass(frozen=True)
class ChunkJudge:
    """Judges a chunk of pairs. It has no state, so that any process can run it.

    Attributes:
        filters: The rules that judge single pairs.
        config: The settings of the filters.
        inspect: Finds what the report needs.
    """

    filters: PairFilters
    config: FiltersConfig
    inspect: Inspector

    def __call__(self, chunk: PairChunk) -> "JudgedChunk":
        """Judge the cleaned pairs of a chunk, and inspect the chunk before and after cleaning."""
        clean = clean_chunk(chunk)
        return JudgedChunk(
            self.filters.verdicts(clean.sources, clean.targets),
            duplicate_keys(self.config, with_tag(clean.sources, chunk.tag), clean.targets),
            outline_chunk(clean),
            self.inspect(chunk, clean),
        )


@dataclass(frozen=True)
class JudgedChunk:
    """The result of a `ChunkJudge`.

    Attributes:
        verdicts: [pairs], the verdict of each pair.
        keys: [pairs], see `duplicate_keys`; None if duplicates are kept.
        outline: Lengths, signatures and line numbers.
        inspected: The result of the inspector.
    """

    verdicts: Verdicts
    keys: Hashes | None
    outline: ChunkOutline
    inspected: Any


@dataclass(frozen=True)
class JudgedText:
    """The training text after the first pass.

    Attributes:
        verdicts: One array per source with the verdict of each pair: `KEPT`, or the number of the
            rule that drops it.
        outline: The outline of all pairs.
    """

    verdicts: tuple[Verdicts, ...]
    outline: TextOutline

    @property
    def pairs(self) -> int:
        """Number of pairs read."""
        return sum(map(len, self.verdicts))


def judge_training_text(
    sources: Sequence[TrainingSource],
    judge: ChunkJudge,
    workers: int | None,
    progress: Progress,
    *,
    collect: Callable[[Any], None] = lambda inspected: None,
    on_fault: FaultSink = refuse,
) -> JudgedText:
    """Read all training text once, and judge each pair.

    Args:
        sources: The sources of training text.
        judge: Judges each chunk.
        workers: Number of worker processes; None: one per available CPU.
        progress: Called after each chunk.
        collect: Receives the inspector's result for each chunk, in order.
        on_fault: Receives the faults of the files.

    Raises:
        UserError: A file is faulty, unless ``on_fault`` accepts the fault.
    """
    outline = TextOutline()
    verdicts: list[Verdicts] = []
    keys: list[Hashes] = []
    for source in sources:
        of_source = [np.zeros(0, dtype=np.uint8)]
        for judged in map_chunks(judge, source.pairs.chunks(CHUNK, on_fault), workers):
            outline.absorb(judged.outline)
            collect(judged.inspected)
            of_source.append(judged.verdicts)
            if judged.keys is not None:
                keys.append(judged.keys)
            progress("reading", outline.pairs, None)
        verdicts.append(np.concatenate(of_source))
    if keys:
        verdicts = _without_duplicates(verdicts, np.concatenate(keys))
    return JudgedText(tuple(verdicts), outline)


def _without_duplicates(verdicts: list[Verdicts], keys: Hashes) -> list[Verdicts]:
    """Of the kept pairs with the same key, drop all except the first."""
    joined = np.concatenate(verdicts)
    kept = np.flatnonzero(joined == KEPT)
    joined[kept[~first_only(keys[kept])]] = FilterRule.DUPLICATE.verdict
    return np.split(joined, np.cumsum([len(part) for part in verdicts])[:-1])
