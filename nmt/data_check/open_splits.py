"""Opens the sources of all splits for a check."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from nmt.config.data import DataConfig
from nmt.config.plain import extra_sources
from nmt.config.source_settings import SourceConfig
from nmt.data.corpus import split_configs, without_faulty_rows
from nmt.data.held_out import with_parts
from nmt.data.sources.documents import Boundaries
from nmt.data.sources.faulty_rows import WithoutFaultyRows
from nmt.data.sources.open_source import open_source
from nmt.data.sources.pair_source import DataFault, FaultSink, PairChunk, PairSource, refuse
from nmt.errors import UserError


@dataclass(frozen=True)
class UnreadableSource:
    """A source that cannot be opened; reading it reports why.

    Attributes:
        name: The name of the file.
        message: Why it cannot be opened.
    """

    name: str
    message: str

    def fingerprint(self) -> str:
        """Refuse, because there is no content.

        Raises:
            UserError: Always.
        """
        raise UserError(self.message)

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Report the fault and yield nothing."""
        rule = "settings" if os.path.exists(self.name) else "missing_file"
        on_fault(DataFault(rule, self.name, None, self.message))
        yield from ()


def open_splits(data: DataConfig) -> dict[str, list[PairSource]]:
    """Return the sources of each split, including those of ``data.extra``.

    Raises:
        UserError: A folder is missing, or lacks a split.
    """
    sources = {
        split: _without_faulty_rows(data, split, _open(config, data, f"data.{split}", split))
        for split, config in split_configs(data).items()
    }
    if not isinstance(sources["train"], UnreadableSource):
        sources = with_parts(data, sources)
    opened = {split: [source] for split, source in sources.items()}
    for name, config in extra_sources(data).items():
        source = _open(config, data, f"data.extra.{name}", "train")
        opened["train"].append(WithoutFaultyRows(source, data.max_faulty))
    return opened


def _without_faulty_rows(data: DataConfig, split: str, source: PairSource) -> PairSource:
    unreadable = isinstance(source, UnreadableSource)
    return source if unreadable else without_faulty_rows(data, split, source)


def _open(config: SourceConfig, data: DataConfig, key: str, split: str) -> PairSource:
    languages = data.source_language, data.target_language
    try:
        return open_source(config, languages, key, split, Boundaries.of(data, config))
    except UserError as error:
        named = [config.source, config.target, config.path, config.dataset]
        files = [file for file in named if file is not None]
        missing = next((file for file in files if not os.path.exists(file)), files[0])
        return UnreadableSource(missing, str(error))
