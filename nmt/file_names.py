"""Names of files: the suffixes of compression, and the message about a missing file."""

import difflib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of compressed files that can be read."""

_MOST = 10_000  # entries of a folder that are read
_SIMILAR = 0.8  # of difflib


def without_compression(path: Path) -> Path:
    """Return a path without the suffix of a compression: a.tsv for a.tsv.gz and for a.tsv."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path


def no_file(path: Path | str) -> str:
    """Return the text ``there is no file PATH``, with a question if a similar file exists.

    The similar file is in the same folder. Its name differs in the compression, in the case of
    letters, or in a few letters before the last suffix. So train.en is not suggested for train.de.
    """
    path = Path(path)
    near = next(_similar(path, sorted(_files(path.parent))), None)
    return f"there is no file {path}" + (f"; did you mean {near}?" if near else "")


def _similar(path: Path, others: list[Path]) -> Iterator[Path]:
    plain = without_compression(path)
    yield from (other for other in others if without_compression(other) == plain)
    yield from (other for other in others if other.name.lower() == path.name.lower())
    names = {
        other.name: other for other in others if without_compression(other).suffix == plain.suffix
    }
    yield from map(names.__getitem__, difflib.get_close_matches(path.name, names, 1, _SIMILAR))


def _files(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            files = (folder / entry.name for entry in entries if entry.is_file())
            yield from islice(files, _MOST)
    except (OSError, ValueError):  # ValueError: a null character in the path
        return
