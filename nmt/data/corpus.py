"""A corpus: training text as sources that are read as a stream, and the small splits in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.config.data import (
    SPLITS,
    DataConfig,
    FilesDataConfig,
    GoldAlignments,
    HuggingFaceDataConfig,
    PhrasebookDataConfig,
    SourceConfig,
)
from nmt.config.folders import corpora_directory
from nmt.config.plain import extra_sources
from nmt.data.sources.hub import HubPairs
from nmt.data.sources.open_source import open_source, read_all
from nmt.data.sources.pair_source import PairSource
from nmt.data.sources.tagged import TaggedPairs
from nmt.data.text_files import stream_lines
from nmt.data.word_links import Links, check_links, parse_links
from nmt.errors import UserError
from nmt.text.tokenizer import split_words


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs in order; ``source[i]`` and ``target[i]`` are one pair.

    Attributes:
        source: One sentence a pair.
        target: One sentence a pair.
        alignment: The pairs' word links, source word - target word, where they are known.
    """

    source: list[str]
    target: list[str]
    alignment: list[Links] | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.source)


@dataclass(frozen=True)
class LinkFile:
    """Word links in a file of their own, line i of pair i; ``flip`` where targets come first."""

    path: Path
    flip: bool = False

    def open(self) -> "LinkReader":
        """Begin to read from the first line."""
        return LinkReader(self)


class LinkReader:
    """Reads a `LinkFile` along with its pairs, a part at a time."""

    def __init__(self, file: LinkFile) -> None:
        self._file, self._lines, self._pairs = file, stream_lines(file.path), 0

    def read(
        self, sources: Sequence[str], targets: Sequence[str], *, tagged: bool = False
    ) -> list[Links]:
        """Return the links of the next pairs; those of the file do not count a tag as a word.

        Raises:
            UserError: A line holds something else, points outside its pair, or is missing.
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
        """Check that nothing is left.

        Raises:
            UserError: The file goes on behind the last pair.
        """
        if next(self._lines, None) is not None:
            raise self._unequal(f"goes on behind the last of {self._pairs:,} pairs")

    def _unequal(self, what: str) -> UserError:
        return UserError(
            f"{self._file.path} {what}; line i must hold the word links of pair i: find the line "
            "that is missing or doubled"
        )

    def _links(self, line: str, source: str, target: str, *, tagged: bool) -> Links:
        place = f"{self._file.path}, line {self._pairs}"
        try:
            links = parse_links(line)
        except ValueError as error:
            raise UserError(f"{place}: {error}") from None
        if self._file.flip:
            links = links.flipped()
        if tagged and source.strip():
            links = links.behind_tag()
        check_links(links, len(split_words(source)), len(split_words(target)), place=place)
        return links


@dataclass(frozen=True)
class TrainingSource:
    """One source of training text.

    Attributes:
        key: The setting it comes from, as ``data.train`` or ``data.extra.NAME``.
        pairs: What is read.
        links: The word links of its pairs, for guided alignment.
    """

    key: str
    pairs: PairSource
    links: LinkFile | None = None


@dataclass(frozen=True)
class Corpus:
    """The splits of a corpus; ``test`` may be missing.

    Attributes:
        train: What is learned from, a source behind the other.
        valid: What decides.
        test: What is scored at the end.
        gold: A hand-aligned set apart from them, for the alignment error.
    """

    train: tuple[TrainingSource, ...]
    valid: ParallelText
    test: ParallelText | None
    gold: ParallelText | None = None

    def aligned_split(self) -> tuple[str, ParallelText] | None:
        """Return what the alignment error is measured on, with its name: gold, test or valid."""
        for name in ("gold", "test", "valid"):
            split: ParallelText | None = getattr(self, name)
            if split is not None and split.alignment is not None:
                return name, split
        return None


def open_corpus(data: DataConfig) -> Corpus:
    """Open the sources of training text; read validation, test and gold with their word links.

    Raises:
        UserError: A file is missing, empty, not UTF-8, or its two sides differ in length; or word
            links are not those of their split.
    """
    sources = split_sources(data)
    links = _link_files(data)
    train = [TrainingSource("data.train", sources["train"], links["train"])]
    languages = (data.source_language, data.target_language)
    for name, config in extra_sources(data).items():
        key = f"data.extra.{name}"
        train.append(TrainingSource(key, open_source(config, languages, key)))
    valid = _read(sources["valid"], links["valid"])
    test = _read(sources["test"], links["test"]) if "test" in sources else None
    return Corpus(tuple(train), valid, test, _gold(data.gold))


def split_sources(data: DataConfig) -> dict[str, PairSource]:
    """Open the source of each split that a data section names, ``test`` only where it is given.

    Raises:
        UserError: A file is missing, or the section does not say what to read.
    """
    languages = (data.source_language, data.target_language)
    sources: dict[str, PairSource] = {}
    for split, config in split_configs(data).items():
        name = "validation" if split == "valid" else split  # as datasets have it
        source = open_source(config, languages, f"data.{split}", name)
        if isinstance(data, HuggingFaceDataConfig) and isinstance(source, HubPairs):
            source = replace(source, local_setting="data.root=FOLDER")
        sources[split] = source
    return sources


def source_tags(data: DataConfig) -> set[str]:
    """Return the tags of all sources."""
    sources = [*split_configs(data).values(), *extra_sources(data).values()]
    return {source.tag for source in sources if source.tag is not None}


def split_configs(data: DataConfig) -> dict[str, SourceConfig]:
    """Return what to read for each split that a data section names.

    Raises:
        UserError: A folder is missing, or lacks a split.
    """
    match data:
        case PhrasebookDataConfig():
            folder = corpora_directory() / "phrasebook"
            return {split: SourceConfig(path=str(folder / f"{split}.{{lang}}")) for split in SPLITS}
        case FilesDataConfig():
            named = {split: getattr(data, split) for split in SPLITS}
            return {split: source for split, source in named.items() if source is not None}
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
            return _local_files(data, Path(str(data.root)).expanduser())
    raise AssertionError(f"no reader for {type(data).__name__}")


def _local_files(data: HuggingFaceDataConfig, root: Path) -> dict[str, SourceConfig]:
    """Find the files of a hub dataset's splits in a folder: JSON lines, or text of two files."""
    if not root.is_dir():
        raise UserError(
            f"data.root={data.root} is not a folder; give the one that holds {data.path}"
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
        source, target = (str(_plain_or_zipped(stem, language)) for language in languages)
        found[split] = SourceConfig(source=source, target=target)
    return found


def _json_file(root: Path, split: str) -> Path:
    names = [split] + (["val", "valid", "validation"] if split.startswith("val") else [])
    files = [file for name in names if (file := root / f"{name}.jsonl").exists()]
    if not files:
        raise UserError(f"{root} holds no {split}.jsonl")
    return files[0]


def _plain_or_zipped(stem: Path, language: str) -> Path:
    plain = stem.with_name(f"{stem.name}.{language}")
    zipped = stem.with_name(f"{stem.name}.{language}.gz")
    return zipped if zipped.exists() and not plain.exists() else plain


def _link_files(data: DataConfig) -> dict[str, LinkFile | None]:
    """Return the files of the word links of the splits."""
    if isinstance(data, PhrasebookDataConfig):
        folder, flip = corpora_directory() / "phrasebook", data.source_language == "de"
        return {split: LinkFile(folder / f"{split}.align", flip) for split in SPLITS}
    named = {split: getattr(data.alignments, split) for split in SPLITS}
    return {
        split: None if file is None else LinkFile(Path(file).expanduser())
        for split, file in named.items()
    }


def _gold(gold: GoldAlignments) -> ParallelText | None:
    if gold.source is None or gold.target is None or gold.links is None:
        return None
    config = SourceConfig(source=gold.source, target=gold.target)
    source = open_source(config, ("source", "target"), "data.gold", "test")
    return _read(source, LinkFile(Path(gold.links).expanduser(), gold.flip))


def _read(source: PairSource, links: LinkFile | None) -> ParallelText:
    text = ParallelText(*read_all(source))
    if links is None:
        return text
    reader = links.open()
    tagged = isinstance(source, TaggedPairs)
    alignment = reader.read(text.source, text.target, tagged=tagged)
    reader.finish()
    return replace(text, alignment=alignment)
