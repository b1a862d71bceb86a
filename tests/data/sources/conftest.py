"""Reads a source to its end and collects its faults."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nmt.config.source_settings import SourceConfig
from nmt.data.sources.open_source import open_source
from nmt.data.sources.pair_source import DataFault, PairSource


@dataclass
class Reading:
    """The content of a source."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    faults: list[DataFault] = field(default_factory=list)

    @property
    def rules(self) -> list[str]:
        return [fault.rule for fault in self.faults]


def _read(source: PairSource, size: int = 3) -> Reading:
    reading = Reading()
    for chunk in source.chunks(size, reading.faults.append):
        assert len(chunk) == len(chunk.sources) == len(chunk.targets) == len(chunk.lines) > 0
        reading.pairs += zip(chunk.sources, chunk.targets, strict=True)
        reading.lines += chunk.lines
        reading.sizes.append(len(chunk))
    return reading


@pytest.fixture
def read() -> Callable[..., Reading]:
    """Reads a whole source, continuing after faults."""
    return _read


@pytest.fixture
def read_file(tmp_path: Path) -> Callable[..., Reading]:
    """Writes a file with this name and content, and reads it as English to German."""

    def go(name: str, content: bytes | str, size: int = 3, **settings: str) -> Reading:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        config = SourceConfig(path=str(path), **settings)  # type: ignore[arg-type]
        return _read(open_source(config, ("en", "de"), "data.train"), size)

    return go
