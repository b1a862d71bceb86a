"""A corpus: sources of the training text, which are streamed; validation and test in memory."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.config.data import (
    SPLITS,
    DataConfig,
    FilesDataConfig,
    HuggingFaceDataConfig,
    PhrasebookDataConfig,
    PhrasebookDocumentsDataConfig,
)
from nmt.config.folders import corpora_directory
from nmt.config.plain import extra_sources
from nmt.config.source_settings import SourceConfig
from nmt.config.word_link_settings import GoldAlignments
from nmt.data.features import Features
from nmt.data.held_out import with_parts
from nmt.data.sources.documents import Boundaries
from nmt.data.sources.faulty_rows import WithoutFaultyRows
from nmt.data.sources.hub import HubPairs
from nmt.data.sources.open_source import open_source, read_whole
from nmt.data.sources.pair_source import PairSource
from nmt.data.sources.tagged import TaggedPairs
from nmt.data.text_files import stream_lines
from nmt.data.word_links import EXCHANGE, FirstWordCheck, Links, check_links, parse_links
from nmt.errors import UserError
from nmt.text.tokenizer import split_words
from nmt.user_path import user_path


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs in order; ``source[i]`` and ``target[i]`` are one pair.

    Attributes:
        source: One sentence per pair.
        target: One sentence per pair.
        alignment: The word links of each pair; None if they are unknown.
        documents: The number of the document of each pair; None: there are no documents.
        features: The features of each pair; None: there are none.
    """

    source: list[str]
    target: list[str]
    alignment: list[Links] | None = None
    documents: list[int] | None = None
    features: Features | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.source)

    def chosen(self, indices: Sequence[int]) -> "ParallelText":
        """Return the pairs with these indices, without their features."""
        links, documents = self.alignment, self.documents
        return ParallelText(
            [self.source[i] for i in indices],
            [self.target[i] for i in indices],
            None if links is None else [links[i] for i in indices],
            None if documents is None else [documents[i] for i in indices],
        )


@dataclass(frozen=True)
class LinkFile:
    """A file of word links; line i belongs to pair i.

    Attributes:
        path: The file.
        flip: Whether each link names the target word first.
        exchange: What the user does if ``flip`` is wrong.
    """

    path: Path
    flip: bool = False
    exchange: str = EXCHANGE

    def open(self) -> "LinkReader":
        """Return a reader that starts at the first line."""
        return LinkReader(self)


class LinkReader:
    """Reads the links of a `LinkFile` in parts, each with the pairs to which they belong."""

    def __init__(self, file: LinkFile) -> None:
        self._file, self._lines, self._pairs = file, stream_lines(file.path), 0
        self._first_words = FirstWordCheck(str(file.path))

    def read(
        self, sources: Sequence[str], targets: Sequence[str], *, tagged: bool = False
    ) -> list[Links]:
        """Return the links of the next pairs.

        Args:
            sources: Their source sentences.
            targets: Their target sentences.
            tagged: Whether the sources start with a tag. The file does not count it as a word.

        Raises:
            UserError: A line is not a list of links, points outside its pair, or is missing.
        """
        links = []
        for source, target in zip(sources, targets, strict=True):
            self._pairs += 1
            line = next(self._lines, None)
            if line is None:
                raise self._unequal(f"ends before pair {self._pairs:,}")
            links.append(self._links(line, source, target, tagged=tagged))
        return links

    def finish(self) -> None:
        """Check that the file has no more lines.

        Raises:
            UserError: The file continues after the last pair, or counts words from 1.
        """
        if next(self._lines, None) is not None:
            raise self._unequal(f"continues after the last of {self._pairs:,} pairs")
        self._first_words.finish()

    def _unequal(self, what: str) -> UserError:
        return UserError(
            f"{self._file.path} {what}; line i must contain the word links of pair i: find the "
            "line that is missing or doubled"
        )

    def _links(self, line: str, source: str, target: str, *, tagged: bool) -> Links:
        where = f"{self._file.path}, line {self._pairs}"
        try:
            links = parse_links(line)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        self._first_words.add(links)
        if self._file.flip:
            links = links.flipped()
        if tagged and source.strip():
            links = links.after_tag()
        words = len(split_words(source)), len(split_words(target))
        check_links(links, *words, where, self._file.exchange)
        return links


@dataclass(frozen=True)
class TrainingSource:
    """One source of training text.

    Attributes:
        key: Its setting, e.g. ``data.train`` or ``data.extra.NAME``.
        pairs: Its sentence pairs.
        links: The word links of the pairs, for guided alignment.
        features: The features of all pairs, before any filter.
    """

    key: str
    pairs: PairSource
    links: LinkFile | None = None
    features: Features | None = None


@dataclass(frozen=True)
class Corpus:
    """The splits of a corpus; ``test`` may be missing.

    Attributes:
        train: The sources of training text, in order.
        valid: The validation set, which selects the best checkpoint.
        test: The test set, which is scored at the end of a run.
        gold: A separate, hand-aligned set for the alignment error rate.
    """

    train: tuple[TrainingSource, ...]
    valid: ParallelText
    test: ParallelText | None
    gold: ParallelText | None = None

    def aligned_split(self) -> tuple[str, ParallelText] | None:
        """Return the split for the alignment error rate and its name: gold, test or valid."""
        for name in ("gold", "test", "valid"):
            split: ParallelText | None = getattr(self, name)
            if split is not None and split.alignment is not None:
                return name, split
        return None


def open_corpus(data: DataConfig) -> Corpus:
    """Open the sources of training text; read validation, test and gold with their word links.

    Raises:
        UserError: A file is missing, empty or not UTF-8; two sides have different numbers of lines;
            or word links or features do not belong to their split.
    """
    sources = split_sources(data)
    links = _link_files(data)
    features = open_features(data)
    train = [TrainingSource("data.train", sources["train"], links["train"], features["train"])]
    languages = (data.source_language, data.target_language)
    for name, config in extra_sources(data).items():
        key = f"data.extra.{name}"
        boundaries = Boundaries.of(data, config)
        opened = open_source(config, languages, key, boundaries=boundaries)
        source = WithoutFaultyRows(opened, data.max_faulty)
        train.append(TrainingSource(key, source))
    valid = _read(sources["valid"], links["valid"], features["valid"])
    test = None
    if "test" in sources:
        test = _read(sources["test"], links["test"], features["test"])
    return Corpus(tuple(train), valid, test, _gold(data.gold))


def split_sources(data: DataConfig) -> dict[str, PairSource]:
    """Return the source of each split by its name; ``test`` may be missing.

    Raises:
        UserError: A file is missing, or the section does not name the text.
    """
    languages = (data.source_language, data.target_language)
    sources: dict[str, PairSource] = {}
    for split, config in split_configs(data).items():
        name = "validation" if split == "valid" else split  # its usual name in datasets
        boundaries = Boundaries.of(data, config)
        source = open_source(config, languages, f"data.{split}", name, boundaries)
        if isinstance(data, HuggingFaceDataConfig) and isinstance(source, HubPairs):
            source = replace(source, local_setting="data.root=FOLDER")
        sources[split] = without_faulty_rows(data, split, source)
    return with_parts(data, sources)


def without_faulty_rows(data: DataConfig, split: str, source: PairSource) -> PairSource:
    """Return a source without its faulty rows, or with them if links or features count rows."""
    by_line = getattr(data.alignments, split) or getattr(data.features, split)
    linked = isinstance(data, PhrasebookDataConfig) or by_line
    return source if linked else WithoutFaultyRows(source, data.max_faulty)


def source_tags(data: DataConfig) -> set[str]:
    """Return the tags of all sources."""
    sources = [*split_configs(data).values(), *extra_sources(data).values()]
    return {source.tag for source in sources if source.tag is not None}


def split_configs(data: DataConfig) -> dict[str, SourceConfig]:
    """Return the source settings of each split that is not taken out of the training text.

    Raises:
        UserError: A folder is missing, or lacks a split.
    """
    match data:
        case PhrasebookDataConfig():
            folder = corpora_directory() / "phrasebook"
            return {split: SourceConfig(path=str(folder / f"{split}.{{lang}}")) for split in SPLITS}
        case PhrasebookDocumentsDataConfig():
            folder = corpora_directory() / "phrasebook_documents"
            return {split: SourceConfig(path=str(folder / f"{split}.{{lang}}")) for split in SPLITS}
        case FilesDataConfig():
            named = {split: getattr(data, split) for split in SPLITS}
            return {
                split: source
                for split, source in named.items()
                if source is not None and source.held_out is None
            }
        case HuggingFaceDataConfig() if data.root is None:
            return {
                split: SourceConfig(
                    dataset=data.path,
                    subset=data.subset,
                    split=getattr(data.splits, split),
                    streaming=data.streaming,
                )
                for split in SPLITS
            }
        case HuggingFaceDataConfig():
            return _local_files(data, user_path(str(data.root)))
    raise AssertionError(f"no reader for {type(data).__name__}")


def _local_files(data: HuggingFaceDataConfig, root: Path) -> dict[str, SourceConfig]:
    """Return the files of a Hub dataset in a folder: one JSON lines or two text files per split."""
    if not os.path.isdir(root):
        raise UserError(
            f"data.root={data.root} is not a folder; give the one that contains {data.path}"
        )
    if any(root.glob("*.jsonl")):
        return {
            split: SourceConfig(path=str(_json_file(root, getattr(data.splits, split))))
            for split in SPLITS
        }
    languages = (data.source_language, data.target_language)
    found = {}
    for split in SPLITS:
        stem = root / getattr(data.stems, split)
        source, target = (str(_plain_or_gzipped(stem, language)) for language in languages)
        found[split] = SourceConfig(source=source, target=target)
    return found


def _json_file(root: Path, split: str) -> Path:
    names = [split] + (["val", "valid", "validation"] if split.startswith("val") else [])
    files = [file for name in names if (file := root / f"{name}.jsonl").exists()]
    if not files:
        raise UserError(f"{root} contains no {split}.jsonl")
    return files[0]


def _plain_or_gzipped(stem: Path, language: str) -> Path:
    plain = stem.with_name(f"{stem.name}.{language}")
    zipped = stem.with_name(f"{stem.name}.{language}.gz")
    return zipped if zipped.exists() and not plain.exists() else plain


def _link_files(data: DataConfig) -> dict[str, LinkFile | None]:
    """Return the file of word links of each split; None: there is none."""
    if isinstance(data, PhrasebookDataConfig):
        folder, flip = corpora_directory() / "phrasebook", data.source_language == "de"
        return {split: LinkFile(folder / f"{split}.align", flip) for split in SPLITS}
    named = {split: getattr(data.alignments, split) for split in SPLITS}
    return {
        split: None if file is None else LinkFile(user_path(file)) for split, file in named.items()
    }


def _gold(gold: GoldAlignments) -> ParallelText | None:
    if gold.source is None or gold.target is None or gold.links is None:
        return None
    config = SourceConfig(source=gold.source, target=gold.target)
    source = open_source(config, ("source", "target"), "data.gold", "test")
    exchange = f"set data.gold.flip={'false' if gold.flip else 'true'}"
    return _read(source, LinkFile(user_path(gold.links), gold.flip, exchange))


def open_features(data: DataConfig) -> dict[str, Features | None]:
    """Open the features of each split; None: there are none.

    Raises:
        UserError: A file is missing or has another format.
    """
    named = {split: getattr(data.features, split) for split in SPLITS}
    return {
        split: None if file is None else Features(user_path(file), f"data.features.{split}={file}")
        for split, file in named.items()
    }


def _read(
    source: PairSource, links: LinkFile | None, features: Features | None = None
) -> ParallelText:
    sources, targets, documents = read_whole(source)
    text = ParallelText(sources, targets, documents=documents, features=features)
    if features is not None:
        features.check_count(len(text), source.name)
    if links is None:
        return text
    reader = links.open()
    tagged = isinstance(source, TaggedPairs)
    alignment = reader.read(text.source, text.target, tagged=tagged)
    reader.finish()
    return replace(text, alignment=alignment)
