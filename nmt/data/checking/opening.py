"""The sources of every split that a data section names, for the doctor to read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt.config.data import (
    DataConfig,
    FilesDataConfig,
    HuggingFaceDataConfig,
    PhrasebookDataConfig,
    SourceConfig,
)
from nmt.config.folders import corpora_directory
from nmt.config.plain import extra_sources
from nmt.data.sources.build import open_source
from nmt.data.sources.interface import DataFault, FaultSink, PairChunk, PairSource, refuse
from nmt.errors import UserError

_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class UnreadableSource:
    """A source that cannot even be opened; reading it tells why."""

    name: str
    message: str

    def fingerprint(self) -> str:
        """Refuse.

        Raises:
            UserError: Always.
        """
        raise UserError(self.message)

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Tell what is wrong, and yield nothing."""
        rule = "unreadable" if Path(self.name).exists() else "missing_file"
        on_fault(DataFault(rule, self.name, None, self.message))
        yield from ()


def open_splits(data: DataConfig) -> dict[str, list[PairSource]]:
    """Return the sources of each split, training text from elsewhere included."""
    splits = {split: _split_config(data, split) for split in _SPLITS}
    opened = {
        split: [_open(config, data, f"data.{split}", split)]
        for split, config in splits.items()
        if config is not None
    }
    for name, config in extra_sources(data).items():
        opened["train"].append(_open(config, data, f"data.extra.{name}", "train"))
    return opened


def _open(config: SourceConfig, data: DataConfig, key: str, split: str) -> PairSource:
    languages = data.source_language, data.target_language
    try:
        return open_source(config, languages, key, split)
    except UserError as error:
        named = [config.source, config.target, config.path, config.dataset]
        files = [file for file in named if file is not None]
        missing = next((file for file in files if not Path(file).exists()), files[0])
        return UnreadableSource(missing, str(error))


def _split_config(data: DataConfig, split: str) -> SourceConfig | None:
    match data:
        case PhrasebookDataConfig():
            return _stem(corpora_directory() / "phrasebook" / split, data)
        case FilesDataConfig():
            named: SourceConfig | None = getattr(data, split)
            return named
        case HuggingFaceDataConfig(root=None):
            return SourceConfig(
                dataset=data.path,
                subset=data.subset,
                split=getattr(data.splits, split),
                streaming=data.streaming,
            )
        case HuggingFaceDataConfig(root=root):
            assert root is not None
            if list(Path(root).glob("*.jsonl")):
                return SourceConfig(path=str(Path(root) / f"{getattr(data.splits, split)}.jsonl"))
            return _stem(Path(root) / getattr(data.stems, split), data)
    raise AssertionError(f"no reader for {type(data).__name__}")


def _stem(stem: Path, data: DataConfig) -> SourceConfig:
    source, target = (
        str(_compressed_or_not(stem.with_name(f"{stem.name}.{language}")))
        for language in (data.source_language, data.target_language)
    )
    return SourceConfig(source=source, target=target)


def _compressed_or_not(plain: Path) -> Path:
    zipped = plain.with_name(f"{plain.name}.gz")
    return zipped if zipped.exists() and not plain.exists() else plain
