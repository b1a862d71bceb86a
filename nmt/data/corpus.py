"""Parallel text: sentence pairs by split, read from where they live."""

from dataclasses import dataclass
from pathlib import Path

from nmt.config.data import (
    DataConfig,
    FilesDataConfig,
    HuggingFaceDataConfig,
    PhrasebookDataConfig,
)
from nmt.data.huggingface import read_hub, read_json_folder
from nmt.data.links import Links
from nmt.data.text_files import read_pair
from nmt.errors import UserError


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs in order; ``source[i]`` and ``target[i]`` are one pair.

    Attributes:
        source: One sentence a pair.
        target: One sentence a pair.
        alignment: The pairs' word links where there are any; `nmt.data.links` reads them.
    """

    source: list[str]
    target: list[str]
    alignment: list[Links] | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.source)


@dataclass(frozen=True)
class Corpus:
    """The three splits of a corpus; ``test`` may be missing."""

    train: ParallelText
    valid: ParallelText
    test: ParallelText | None


def corpora_directory() -> Path:
    """Return the folder of the embedded corpora, inside the package or in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "corpora"
    return installed if installed.is_dir() else package.parent / "data"


def read_corpus(data: DataConfig) -> Corpus:
    """Read every split that a data section names.

    Raises:
        UserError: A file is missing, empty, not UTF-8, or its two sides differ in length.
    """
    languages = (data.source_language, data.target_language)
    match data:
        case PhrasebookDataConfig():
            folder = corpora_directory() / "phrasebook"
            return Corpus(*(_from_stem(folder / s, languages) for s in ("train", "valid", "test")))
        case FilesDataConfig():
            splits = (data.train, data.valid, data.test)
            train, valid, test = (
                None if split is None else _from_files(Path(split.source), Path(split.target))
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
