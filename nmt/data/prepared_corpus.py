"""From text to piece ids, once: tokenizers and encoded training pairs, cached by content."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.data.array_file import open_array
from nmt.data.cache import cache_directory, made_once
from nmt.data.corpus import Corpus, TrainingSource, open_corpus, split_sources
from nmt.data.encode_training_text import TrainingEncoder, kept_text
from nmt.data.encoded import EncodedCorpus, PieceSequences, content_hash
from nmt.data.filters import (
    RULES,
    DropTable,
    PairFilters,
    check_dropped,
    held_out_hashes,
    writes_dropped,
)
from nmt.data.judge_training_text import CHUNK, Judge, Progress, Scan, available_cpus, cleaned, scan
from nmt.data.piece_links import PieceLinks
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.data_check.check_corpus import build_report
from nmt.data_check.check_report import DataReport, short_lines
from nmt.data_check.inspection import SIDES, Inspection, inspect_chunk
from nmt.data_check.token_statistics import count_pieces, side_tokens
from nmt.errors import UserError
from nmt.text.tokenizer import Tokenizer, TokenizerPair, train_tokenizers

_FORMAT = "3"  # of the cache; a change makes new entries


@dataclass(frozen=True)
class Preparing:
    """How a preparation tells of itself.

    Attributes:
        progress: Told how far a stage is.
        say: Tells people a line of news.
    """

    progress: Progress = lambda stage, done, total: None
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class PreparedCorpus:
    """Everything that training reads.

    Attributes:
        text: Validation, test and gold as text, and where the training text is.
        tokenizers: Of both sides.
        train: The training pairs as piece ids, mapped from the cache.
        dropped: How many pairs each rule left out.
        report: What was seen in the text.
        folder: Where in the cache it is.
        from_cache: Whether it was there already.
    """

    text: Corpus
    tokenizers: TokenizerPair
    train: EncodedCorpus
    dropped: DropTable
    report: DataReport
    folder: Path
    from_cache: bool

    def describe(self) -> list[str]:
        """Return what stands at the head of a training: the report in short, and the drop table."""
        return [*short_lines(self.report), *self.dropped.lines()]


def prepare(
    data: DataConfig,
    tokenizer: TokenizerConfig,
    *,
    with_links: bool = False,
    preparing: Preparing | None = None,
) -> PreparedCorpus:
    """Read, check and filter the corpus, train the tokenizers on its training side, encode it.

    The text is streamed; memory holds a few bytes a pair. The result is kept under a hash of text
    and settings, so a second run, or a sweep, finds it.

    Args:
        data: Where the corpus is.
        tokenizer: How its words are cut.
        with_links: Whether the encoded training pairs have links, for guided alignment.
        preparing: What is told meanwhile.

    Raises:
        UserError: The corpus is at fault, or nothing of it is left to train on.
    """
    preparing = preparing or Preparing()
    dropped = None if data.dropped is None else Path(data.dropped).expanduser()
    if dropped is not None:
        check_dropped(dropped)
    corpus = open_corpus(data)
    if with_links and corpus.train[0].links is None:
        raise UserError(
            "guided alignment needs the word links of the training pairs: "
            "set data.alignments.train=FILE"
        )
    if not with_links:
        bare = tuple(dataclasses.replace(source, links=None) for source in corpus.train)
        corpus = dataclasses.replace(corpus, train=bare)
    key = _key(corpus, data, tokenizer)
    folder = cache_directory(data) / key
    waiting = "another process prepares the same data; waiting for it"
    with made_once(folder, lambda: preparing.say(waiting)) as partial:
        if partial is not None:
            _build(partial, corpus, data, tokenizer, preparing)
            if _key(corpus, data, tokenizer) != key:
                raise UserError(
                    "the training text changed while it was read; wait until it is written, and "
                    "start again"
                )
    prepared = _load(folder, corpus, from_cache=partial is None)
    if dropped is not None:
        _write_dropped(prepared, dropped)
    return prepared


_CUTS = (
    "name",
    "vocab_size",
    "joint",
    "byte_fallback",
    "character_coverage",
    "normalization",
    "symbols",
    "sample_size",
)
"""What decides about the stored cut; sampling is drawn from it later, models count by content."""


def _key(corpus: Corpus, data: DataConfig, tokenizer: TokenizerConfig) -> str:
    """Hash everything that the prepared files and the report depend on."""
    settings = {
        "format": _FORMAT,
        "languages": [data.source_language, data.target_language],
        "max_length": data.max_length,
        "on_doubt": data.on_doubt,
        "filters": dataclasses.asdict(data.filters),
        "tokenizer": {key: dataclasses.asdict(tokenizer)[key] for key in _CUTS},
        "models": [_file_hash(name) for name in (tokenizer.model, tokenizer.target_model)],
    }
    parts = [json.dumps(settings, sort_keys=True)]
    for source in corpus.train:
        parts += [source.key, source.pairs.fingerprint()]
        if source.links is not None:
            parts += [_file_hash(str(source.links.path)), str(source.links.flip)]
    for text in (corpus.valid, corpus.test):
        if text is not None:
            parts += ["\n".join(text.source), "\n".join(text.target)]
    return content_hash(parts)


def _file_hash(name: str | None) -> str:
    return "" if name is None else fingerprint_files("", [Path(name).expanduser()])


def _build(
    folder: Path, corpus: Corpus, data: DataConfig, tokenizer: TokenizerConfig, preparing: Preparing
) -> None:
    """Fill a folder of the cache."""
    languages = (data.source_language, data.target_language)
    overlap = held_out_hashes(_held_out_text(data)) if data.filters.test_overlap else None
    judge = Judge(PairFilters(data.filters, languages, overlap), data.filters, languages)
    scanned = scan(corpus.train, judge, data.workers, preparing.progress)
    inspections = {"train": scanned.inspection, **_inspect_held_out(data)}
    _report(data, inspections, scanned)  # refuses before the long part begins
    tokenizers = train_tokenizers(tokenizer, *_sample(corpus.train, scanned, tokenizer.sample_size))
    encoder = TrainingEncoder(tokenizers, data.max_length, data.workers or available_cpus())
    sections = encoder.encode(folder, corpus.train, scanned, preparing.progress)
    (folder / "source.model").write_bytes(tokenizers.source.to_bytes())
    (folder / "target.model").write_bytes(tokenizers.target.to_bytes())
    np.save(folder / "verdicts.npy", np.concatenate(scanned.verdicts))
    (folder / "sections.json").write_text(json.dumps(sections))
    tokens = _tokens(folder, corpus, tokenizers, scanned.inspection)
    report = _report(data, inspections, scanned, tokens)
    (folder / "report.json").write_text(json.dumps(report.to_mapping()))


def _held_out_text(data: DataConfig) -> Iterator[tuple[list[str], list[str]]]:
    """Yield validation and test as they are compared with training text, without tags."""
    for split, source in split_sources(data).items():
        if split != "train":
            yield from map(cleaned, source.chunks(CHUNK))


def _inspect_held_out(data: DataConfig) -> dict[str, Inspection]:
    inspections = {}
    for split, source in split_sources(data).items():
        if split != "train":
            inspections[split] = Inspection()
            for chunk in source.chunks(CHUNK):
                languages = (data.source_language, data.target_language)
                inspections[split].absorb(inspect_chunk(chunk, languages))
    return inspections


def _report(
    data: DataConfig,
    inspections: Mapping[str, Inspection],
    scanned: Scan,
    tokens: Mapping[str, Any] | None = None,
) -> DataReport:
    """Report on what was read.

    Raises:
        UserError: It is such that no model should be trained on it.
    """
    table = DropTable()
    for verdicts in scanned.verdicts:
        table.count(verdicts)
    corpus = {
        "name": data.name,
        "source_language": data.source_language,
        "target_language": data.target_language,
    }
    report = build_report(
        corpus,
        inspections,
        {},
        stop=data.on_doubt == "stop",
        filters=table.to_mapping(),
        tokens=tokens,
    )
    if report.errors:
        raise UserError("; ".join(f"{found.message}: {found.remedy}" for found in report.errors))
    return report


def _tokens(
    folder: Path, corpus: Corpus, tokenizers: TokenizerPair, seen: Inspection
) -> dict[str, Any]:
    """Return what the tokenizers made of the training text, and what they do not know elsewhere."""
    tokens = {}
    held_out = [text for text in (corpus.valid, corpus.test) if text is not None]
    for side in SIDES:
        tokenizer: Tokenizer = getattr(tokenizers, side)
        lengths = PieceSequences.load(folder / f"train.{side}").lengths.astype(np.int64)
        counts = [count_pieces(tokenizer, getattr(text, side)) for text in held_out]
        unknown = sum(count.unknown for count in counts)
        pieces = sum(int(count.lengths.sum()) for count in counts)
        tokens[side] = side_tokens(
            len(tokenizer), lengths, seen.side(side).words, unknown / max(1, pieces)
        )
    return tokens


def _sample(
    sources: Sequence[TrainingSource], scanned: Scan, most: int
) -> tuple[list[str], list[str]]:
    """Return the kept pairs that train the tokenizers, at most so many, drawn evenly from all."""
    kept = sum(int((verdicts == 0).sum()) for verdicts in scanned.verdicts)
    sides: tuple[list[str], list[str]] = ([], [])
    seen = 0
    for source, verdicts in zip(sources, scanned.verdicts, strict=True):
        bare = dataclasses.replace(source, links=None)
        for text, _ in kept_text(bare, verdicts):
            chosen = _evenly(seen, len(text), most, kept)
            seen += len(text)
            for side, texts in zip(sides, (text.source, text.target), strict=True):
                side.extend(texts if len(chosen) == len(texts) else [texts[i] for i in chosen])
    return sides


def _evenly(start: int, count: int, most: int, of: int) -> list[int]:
    """Return which of ``count`` pairs behind ``start`` others are among ``most`` out of ``of``."""
    if of <= most:
        return list(range(count))
    reached = np.arange(start, start + count + 1) * most // of
    return np.flatnonzero(np.diff(reached)).tolist()


def _load(folder: Path, corpus: Corpus, *, from_cache: bool) -> PreparedCorpus:
    try:
        tokenizers = TokenizerPair.from_bytes(
            (folder / "source.model").read_bytes(), (folder / "target.model").read_bytes()
        )
        with_links = any(source.links is not None for source in corpus.train)
        train = EncodedCorpus(
            PieceSequences.load(folder / "train.source"),
            PieceSequences.load(folder / "train.target"),
            PieceLinks.load(folder / "train") if with_links else None,
            tuple(json.loads((folder / "sections.json").read_text())),
        )
        report = DataReport.from_mapping(json.loads((folder / "report.json").read_text()))
        dropped = DropTable()
        dropped.count(open_array(folder / "verdicts.npy"))
    except (OSError, ValueError, TypeError, KeyError, EOFError, UserError) as error:
        raise UserError(f"the cache {folder} is damaged ({error}); delete that folder") from error
    return PreparedCorpus(corpus, tokenizers, train, dropped, report, folder, from_cache)


def _write_dropped(prepared: PreparedCorpus, path: Path) -> None:
    """Write every pair that was left out, by the rule that did it."""
    verdicts = open_array(prepared.folder / "verdicts.npy")
    start = 0
    with writes_dropped(path) as table:
        for source in prepared.text.train:
            for chunk in source.pairs.chunks(CHUNK):
                for i in np.flatnonzero(verdicts[start : start + len(chunk)]).tolist():
                    pair = (chunk.sources[i], chunk.targets[i])
                    table.write(
                        RULES[verdicts[start + i]], chunk.source_file, chunk.lines[i], *pair
                    )
                start += len(chunk)
