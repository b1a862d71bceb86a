"""One file per line of a text: the files of a folder by their names, or the files of a list."""

import re
from collections.abc import Sequence
from pathlib import Path


def files_of_folder(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files with these suffixes, sorted by name; 2 comes before 10."""
    paths = [path for path in folder.iterdir() if path.suffix.lower() in suffixes]
    return sorted(paths, key=lambda path: _natural(path.name))


def files_of_list(path: Path) -> list[Path]:
    """Return the files that a UTF-8 list names, one per line, relative to its folder."""
    names = path.read_text(encoding="utf-8").split("\n")
    return [path.parent / name for name in map(str.strip, names) if name]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
