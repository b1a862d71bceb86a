"""Finds the text in zip archives, such as the Moses downloads of OPUS.

A file in an archive has the path ARCHIVE/NAME, which `nmt.data.sources.compression` opens.
"""

import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from nmt.data.sources.file_patterns import format_suffix
from nmt.data.sources.language_tags import Languages, best_match
from nmt.errors import UserError

_IGNORED = (".xml", ".ids", ".scores", ".md", ".html")
_SHOWN = 8  # names in a message


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip archive, by its name."""
    return path.suffix.lower() == ".zip"


def find_sides(archives: Sequence[Path], languages: Languages) -> list[tuple[Path, Path]] | None:
    """Return the file of each side in every archive, or None if an archive has no such two files.

    Raises:
        UserError: An archive cannot be read, or has several files of a language.
    """
    found = []
    for archive in archives:
        tags: dict[str, list[str]] = {}
        for name in _names(archive):
            tag = format_suffix(Path(name)).removeprefix(".")
            tags.setdefault(tag, []).append(name)
        sides = [best_match(language, tags) for language in languages]
        if None in sides or sides[0] == sides[1]:
            return None
        names = [tags[tag or ""] for tag in sides]
        for side in names:
            if len(side) > 1:
                raise UserError(
                    f"{archive} contains several files of a language, {_listed(side)}: unzip it, "
                    "and name two of them"
                )
        found.append((archive / names[0][0], archive / names[1][0]))
    return found


def find_table(archive: Path, suffixes: Collection[str], languages: Languages) -> Path:
    """Return the only file with both sides in an archive.

    Args:
        archive: The archive.
        suffixes: The suffixes of files with both sides.
        languages: Codes of the source and the target language, for a message.

    Raises:
        UserError: The archive cannot be read, or does not contain exactly one such file.
    """
    names = _names(archive)
    tables = [name for name in names if format_suffix(Path(name)) in suffixes]
    if len(tables) == 1:
        return archive / tables[0]
    raise UserError(
        f"{archive} contains neither one file that ends in .{languages[0]} and one in "
        f".{languages[1]} nor exactly one table; it contains {_listed(names)}: set "
        "data.source_language and data.target_language to two of its languages, or unzip it"
    )


def _names(archive: Path) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [info.filename for info in opened.infolist() if not info.is_dir()]
    # NotImplementedError: the archive asks for a newer version of the format.
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise UserError(f"cannot read {archive}: {error}; download it again") from error
    visible = [n for n in names if not any(p[0] in "._" for p in PurePosixPath(n).parts if p)]
    return [name for name in visible if Path(name).suffix.lower() not in _IGNORED]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "no text"
