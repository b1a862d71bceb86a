"""Fills a cache folder: filters the pairs, trains the tokenizers, encodes the kept pairs."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmt.config.data import DataConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.array_file import ArrayWriter
from nmt.data.corpus import Corpus, TrainingSource, split_sources
from nmt.data.filters import KEPT, PairFilters, held_out_hashes
from nmt.data.pair_outlines import TextOutline, outline_chunk
from nmt.data.preparation.chunk_workers import available_cpus
from nmt.data.preparation.corpus_reporter import CorpusReporter, PreparedText
from nmt.data.preparation.dropped_pairs import DropTable
from nmt.data.preparation.encode_training_text import TrainingEncoder, kept_text
from nmt.data.preparation.judge_training_text import (
    CHUNK,
    ChunkJudge,
    JudgedText,
    Progress,
    judge_training_text,
)
from nmt.data.preparation.prepared_checksums import write_checksums
from nmt.data.preparation.split_problems import refuse_unusable
from nmt.data.sources.pair_source import DataFault, FaultSink, PairChunk, clean_chunk, refuse
from nmt.text.sentence_context import ContextSize
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

VERDICTS, SECTIONS = "verdicts.npy", "sections.json"
"""Names of files in the folder."""


@dataclass(frozen=True)
class PreparationFeedback:
    """Callbacks that report the progress of a preparation.

    Attributes:
        progress: Called with the progress of a stage.
        say: Called with a message for the user, one line.
    """

    progress: Progress = lambda stage, done, total: None
    say: Callable[[str], None] = lambda text: None


def build_prepared(
    folder: Path,
    corpus: Corpus,
    data: DataConfig,
    tokenizer: TokenizerConfig,
    reporter: CorpusReporter,
    progress: Progress,
) -> None:
    """Write tokenizers, encoded training pairs, verdicts and the report into a folder.

    Raises:
        UserError: The corpus is faulty, or the filters drop all of its pairs.
    """
    judged = _judge(corpus, data, reporter, progress)
    _check_features(corpus, judged.pairs)
    outlines = {"train": judged.outline, **_outline_held_out(data, reporter)}
    refuse_unusable(data, outlines, _drop_table(judged))  # before the slow part
    sample = _sample(corpus.train, judged, tokenizer.sample_size)
    tokenizers = train_tokenizers(
        tokenizer, *sample, lambda: progress("training the tokenizer", 0, None)
    )
    size = ContextSize.of(data)
    encoder = TrainingEncoder(tokenizers, size, data.workers or available_cpus())
    sections = encoder.encode(folder, corpus.train, judged, progress)
    _save_models(folder, tokenizers)
    with ArrayWriter(folder / VERDICTS, np.uint8) as verdicts:
        verdicts.append(np.concatenate(judged.verdicts))
    (folder / SECTIONS).write_text(json.dumps(sections))
    dropped = _drop_table(judged)  # this time with the pairs that have too many pieces
    refuse_unusable(data, outlines, dropped)
    held_out = [text for text in (corpus.valid, corpus.test) if text is not None]
    reporter.write(folder, PreparedText(outlines, dropped, tokenizers, held_out))
    write_checksums(folder)


def _check_features(corpus: Corpus, pairs: int) -> None:
    """Check the number of training features, and read the features of all splits once.

    Raises:
        UserError: There are more or fewer features than lines, or an array is faulty.
    """
    train = corpus.train[0].features
    if train is not None:
        train.check_count(pairs, "the training text")
    held_out = [text.features for text in (corpus.valid, corpus.test) if text is not None]
    for features in (train, *held_out):
        if features is not None:
            features.check_values()


def _judge(
    corpus: Corpus, data: DataConfig, reporter: CorpusReporter, progress: Progress
) -> JudgedText:
    languages = (data.source_language, data.target_language)
    overlap = None
    if data.filters.test_overlap:
        cleaned = (clean_chunk(chunk) for _, chunks in _held_out_chunks(data) for chunk in chunks)
        overlap = held_out_hashes((chunk.sources, chunk.targets) for chunk in cleaned)
    judge = ChunkJudge(
        PairFilters(data.filters, languages, overlap), data.filters, reporter.inspector
    )
    return judge_training_text(
        corpus.train,
        judge,
        data.workers,
        progress,
        collect=lambda inspected: reporter.collect("train", inspected),
        on_fault=_refuse_or_note("train", reporter),
    )


def _outline_held_out(data: DataConfig, reporter: CorpusReporter) -> dict[str, TextOutline]:
    outlines = {}
    for split, chunks in _held_out_chunks(data, reporter):
        outlines[split] = TextOutline()
        for chunk in chunks:
            clean = clean_chunk(chunk)
            outlines[split].absorb(outline_chunk(clean))
            reporter.collect(split, reporter.inspector(chunk, clean))
    return outlines


def _held_out_chunks(
    data: DataConfig, reporter: CorpusReporter | None = None
) -> Iterator[tuple[str, Iterator[PairChunk]]]:
    """Yield the names of validation and test with their chunks, whose texts have no tags."""
    for split, source in split_sources(data).items():
        if split != "train":
            on_fault = refuse if reporter is None else _refuse_or_note(split, reporter)
            yield split, source.chunks(CHUNK, on_fault)


def _refuse_or_note(split: str, reporter: CorpusReporter) -> FaultSink:
    """Return a sink that raises the faults that training refuses, and reports the others."""

    def sink(fault: DataFault) -> None:
        refuse(fault)
        reporter.note(split, fault)

    return sink


def _drop_table(judged: JudgedText) -> DropTable:
    table = DropTable()
    for verdicts in judged.verdicts:
        table.count(verdicts)
    return table


def _save_models(folder: Path, tokenizers: TokenizerPair) -> None:
    (folder / "source.model").write_bytes(tokenizers.source.to_bytes())
    (folder / "target.model").write_bytes(tokenizers.target.to_bytes())


def _sample(
    sources: Sequence[TrainingSource], judged: JudgedText, size: int
) -> tuple[list[str], list[str]]:
    """Return both sides of the pairs that train the tokenizers: at most ``size``, evenly spaced."""
    kept = sum(int((verdicts == KEPT).sum()) for verdicts in judged.verdicts)
    sides: tuple[list[str], list[str]] = ([], [])
    seen = 0
    for source, verdicts in zip(sources, judged.verdicts, strict=True):
        without_links = dataclasses.replace(source, links=None)
        for text, _ in kept_text(without_links, verdicts):
            chosen = _evenly_spaced(seen, len(text), size, kept)
            seen += len(text)
            for side, texts in zip(sides, (text.source, text.target), strict=True):
                side.extend(texts if len(chosen) == len(texts) else [texts[i] for i in chosen])
    return sides


def _evenly_spaced(start: int, count: int, size: int, total: int) -> list[int]:
    """Return which of ``count`` pairs, the first with index ``start`` of ``total``, are chosen."""
    if total <= size:
        return list(range(count))
    reached = np.arange(start, start + count + 1) * size // total
    return np.flatnonzero(np.diff(reached)).tolist()
