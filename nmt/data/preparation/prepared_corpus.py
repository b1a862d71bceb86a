"""Prepared corpora: tokenizers and encoded training pairs, which are made once and cached."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nmt.config.data import DataConfig, PhrasebookDataConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.array_file import open_array
from nmt.data.corpus import Corpus, TrainingSource, open_corpus
from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.data.features import Features
from nmt.data.filters import KEPT, RULES
from nmt.data.piece_links import PieceLinks
from nmt.data.preparation.build_prepared import (
    SECTIONS,
    VERDICTS,
    PreparationFeedback,
    build_prepared,
)
from nmt.data.preparation.cache import cache_directory, made_once
from nmt.data.preparation.cache_key import cache_key
from nmt.data.preparation.corpus_reporter import CorpusReport, CorpusReporter
from nmt.data.preparation.dropped_pairs import DropTable, check_dropped, dropped_pairs_file
from nmt.data.preparation.judge_training_text import CHUNK
from nmt.data.preparation.prepared_checksums import check_checksums
from nmt.data.sources.faulty_rows import WithoutFaultyRows
from nmt.errors import UserError
from nmt.text.special_tokens import SENTENCE_BREAK
from nmt.text.tokenizer import TokenizerPair
from nmt.user_path import user_path


@dataclass(frozen=True)
class PreparedCorpus:
    """Everything that training reads.

    Attributes:
        text: Validation, test and gold as text, and the sources of the training text.
        tokenizers: The tokenizers of both sides.
        train: The training pairs as piece ids, memory-mapped from the cache.
        dropped: The number of pairs that each rule dropped.
        report: The report on the text.
        folder: The folder in the cache.
        from_cache: Whether the folder already existed.
    """

    text: Corpus
    tokenizers: TokenizerPair
    train: EncodedCorpus
    dropped: DropTable
    report: CorpusReport
    folder: Path
    from_cache: bool

    def describe(self) -> list[str]:
        """Return the head of a training log: the short report and the table of dropped pairs."""
        return [*self.report.short_lines(), *self.dropped.lines()]


def prepare(
    data: DataConfig,
    tokenizer: TokenizerConfig,
    reporter: CorpusReporter,
    *,
    with_links: bool = False,
    feedback: PreparationFeedback | None = None,
) -> PreparedCorpus:
    """Read and filter the corpus, train the tokenizers on its training text, and encode this text.

    The text is streamed; memory takes a few bytes per pair. The result is cached under a hash of
    text and settings, so other runs with the same ones reuse it.

    Args:
        data: The settings of the corpus.
        tokenizer: The settings of the tokenizers.
        reporter: Makes the report that is cached with the data.
        with_links: Whether the encoded training pairs have links, for guided alignment.
        feedback: Reports the progress.

    Raises:
        UserError: The corpus is faulty, or the filters drop all of its pairs.
    """
    feedback = feedback or PreparationFeedback()
    if data.context_sentences and SENTENCE_BREAK not in tokenizer.symbols:
        tokenizer = replace(tokenizer, symbols=[*tokenizer.symbols, SENTENCE_BREAK])
    dropped = None if data.dropped is None else user_path(data.dropped)
    if dropped is not None:
        check_dropped(dropped)
    corpus = _open(data, with_links=with_links)
    key = cache_key(corpus, data, tokenizer)
    folder = cache_directory(data) / key
    waiting = "another process is preparing the same data; waiting for it"
    with made_once(folder, lambda: feedback.say(waiting)) as partial:
        if partial is not None:
            build_prepared(partial, corpus, data, tokenizer, reporter, feedback.progress)
            if cache_key(corpus, data, tokenizer) != key:
                raise UserError(
                    "the training text changed while it was read; wait until it is written, and "
                    "start again"
                )
    prepared = _load(folder, corpus, reporter, from_cache=partial is None)
    if dropped is not None:
        _write_dropped(prepared, dropped)
    return prepared


def _open(data: DataConfig, *, with_links: bool) -> Corpus:
    corpus = open_corpus(data)
    if with_links and corpus.train[0].links is None:
        raise UserError(
            "guided alignment needs the word links of the training pairs: "
            "set data.alignments.train=FILE"
        )
    if with_links:
        return corpus
    without = tuple(_without_links(source, data) for source in corpus.train)
    return replace(corpus, train=without)


def _without_links(source: TrainingSource, data: DataConfig) -> TrainingSource:
    """Return the source without its links; faulty rows are then left out."""
    if source.links is None or isinstance(data, PhrasebookDataConfig):
        return replace(source, links=None)
    pairs = WithoutFaultyRows(source.pairs, data.max_faulty)
    return replace(source, links=None, pairs=pairs)


def _load(
    folder: Path, corpus: Corpus, reporter: CorpusReporter, *, from_cache: bool
) -> PreparedCorpus:
    try:
        checked = check_checksums(folder)
        tokenizers = TokenizerPair.from_bytes(
            (folder / "source.model").read_bytes(), (folder / "target.model").read_bytes()
        )
        with_links = any(source.links is not None for source in corpus.train)
        train = EncodedCorpus(
            PieceSequences.load(folder / "train.source"),
            PieceSequences.load(folder / "train.target"),
            PieceLinks.load(folder / "train") if with_links else None,
            tuple(json.loads((folder / SECTIONS).read_text())),
            _kept_features(corpus, folder),
        )
        if not checked:
            _check_ids(train, tokenizers)
        report = reporter.read(folder)
        dropped = DropTable()
        dropped.count(open_array(folder / VERDICTS))
    except (OSError, ValueError, TypeError, KeyError, EOFError, UserError) as error:
        raise UserError(f"the cache {folder} is damaged ({error}); delete that folder") from error
    return PreparedCorpus(corpus, tokenizers, train, dropped, report, folder, from_cache)


def _kept_features(corpus: Corpus, folder: Path) -> Features | None:
    """Return the features of the training pairs that no rule dropped."""
    features = corpus.train[0].features
    if features is None:
        return None
    return features.select(np.flatnonzero(open_array(folder / VERDICTS) == KEPT))


def _check_ids(train: EncodedCorpus, tokenizers: TokenizerPair) -> None:
    for side in ("source", "target"):
        ids, pieces = getattr(train, side).ids, len(getattr(tokenizers, side))
        if len(ids) and not 0 <= ids.min() <= ids.max() < pieces:
            raise ValueError(f"a {side} piece is not one of {pieces:,}")


def _write_dropped(prepared: PreparedCorpus, path: Path) -> None:
    """Write each dropped pair with the rule that dropped it."""
    verdicts = open_array(prepared.folder / VERDICTS)
    start = 0
    with dropped_pairs_file(path) as table:
        for source in prepared.text.train:
            for chunk in source.pairs.chunks(CHUNK):
                part = verdicts[start : start + len(chunk)]
                for i in np.flatnonzero(part != KEPT).tolist():
                    pair = (chunk.sources[i], chunk.targets[i])
                    table.write(RULES[part[i]], chunk.source_file, chunk.lines[i], *pair)
                start += len(chunk)
