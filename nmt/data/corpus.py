"""Parallel text: sentence pairs by split, read from where they live."""

from dataclasses import dataclass, replace
from pathlib import Path

from nmt.config.data import (
    DataConfig,
    FilesDataConfig,
    GoldAlignments,
    HuggingFaceDataConfig,
    PhrasebookDataConfig,
)
from nmt.config.folders import corpora_directory
from nmt.data.huggingface import read_hub, read_json_folder
from nmt.data.links import Links, check_links, read_links
from nmt.data.text_files import read_pair
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
class Corpus:
    """The three splits of a corpus; ``test`` may be missing.

    Attributes:
        train: What is learned from.
        valid: What decides.
        test: What is scored at the end.
        gold: A hand-aligned set apart from them, for the alignment error.
    """

    train: ParallelText
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


def read_corpus(data: DataConfig, *, with_training_links: bool = False) -> Corpus:
    """Read every split that a data section names, the word links of validation and test, and gold.

    Args:
        data: What to read.
        with_training_links: Whether the training side's word links are read too. There are many,
            and guided alignment alone asks for them.

    Raises:
        UserError: A file is missing, empty, not UTF-8, or its two sides differ in length; or word
            links are not those of their split.
    """
    corpus = _read_text(data)
    files = _alignment_files(data)
    flip = isinstance(data, PhrasebookDataConfig) and data.source_language == "de"
    return Corpus(
        _aligned(corpus.train, files[0] if with_training_links else None, flip=flip),
        _aligned(corpus.valid, files[1], flip=flip),
        None if corpus.test is None else _aligned(corpus.test, files[2], flip=flip),
        _gold(data.gold),
    )


def _gold(gold: GoldAlignments) -> ParallelText | None:
    if gold.source is None or gold.target is None or gold.links is None:
        return None
    text = _from_files(Path(gold.source), Path(gold.target))
    return _aligned(text, Path(gold.links), flip=gold.flip)


def _alignment_files(data: DataConfig) -> tuple[Path | None, ...]:
    """Return the files of the word links of the splits."""
    if isinstance(data, PhrasebookDataConfig):
        folder = corpora_directory() / "phrasebook"
        return tuple(folder / f"{split}.align" for split in ("train", "valid", "test"))
    named = (data.alignments.train, data.alignments.valid, data.alignments.test)
    return tuple(None if name is None else Path(name) for name in named)


def _aligned(text: ParallelText, file: Path | None, *, flip: bool) -> ParallelText:
    """Add the word links of a file, or none."""
    if file is None:
        return text
    alignment = read_links(file)
    if len(alignment) != len(text):
        raise UserError(
            f"{file} has {len(alignment):,} lines, but its split has {len(text):,} pairs; "
            "line i must hold the word links of pair i: find the line that is missing or doubled"
        )
    if flip:
        alignment = [links.flipped() for links in alignment]
    pairs = zip(text.source, text.target, alignment, strict=True)
    for number, (source, target, links) in enumerate(pairs, start=1):
        words = len(split_words(source)), len(split_words(target))
        check_links(links, *words, place=f"{file}, line {number}")
    return replace(text, alignment=alignment)


def _read_text(data: DataConfig) -> Corpus:
    languages = (data.source_language, data.target_language)
    match data:
        case PhrasebookDataConfig():
            folder = corpora_directory() / "phrasebook"
            return Corpus(*(_from_stem(folder / s, languages) for s in ("train", "valid", "test")))
        case FilesDataConfig():
            splits = (data.train, data.valid, data.test)
            train, valid, test = (
                None
                if split is None
                else _from_files(Path(str(split.source)), Path(str(split.target)))
                for split in splits
            )
            assert train is not None
            assert valid is not None
            return Corpus(train, valid, test)
        case HuggingFaceDataConfig():
            return _from_huggingface(data, languages)
    raise AssertionError(f"no reader for {type(data).__name__}")


def _from_huggingface(data: HuggingFaceDataConfig, languages: tuple[str, str]) -> Corpus:
    names = (data.splits.train, data.splits.valid, data.splits.test)
    if data.root is None:
        sides = read_hub(data.path, data.subset, names, languages)
        return Corpus(*(ParallelText(*pair) for pair in sides))
    root = Path(data.root)
    if not root.is_dir():
        raise UserError(
            f"data.root={data.root} is not a folder; give the one that holds {data.path}"
        )
    if list(root.glob("*.jsonl")):
        return Corpus(*(ParallelText(*pair) for pair in read_json_folder(root, names, languages)))
    stems = (data.stems.train, data.stems.valid, data.stems.test)
    return Corpus(*(_from_stem(root / stem, languages) for stem in stems))


def _from_stem(stem: Path, languages: tuple[str, str]) -> ParallelText:
    source, target = (_find(stem, language) for language in languages)
    return _from_files(source, target)


def _find(stem: Path, language: str) -> Path:
    plain = stem.with_name(f"{stem.name}.{language}")
    zipped = stem.with_name(f"{stem.name}.{language}.gz")
    return zipped if zipped.exists() and not plain.exists() else plain


def _from_files(source: Path, target: Path) -> ParallelText:
    return ParallelText(*read_pair(source, target))
