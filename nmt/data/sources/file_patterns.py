"""Resolves file names in the settings: globs and ``~``; matches the shards of both sides."""

import glob
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from nmt.errors import UserError
from nmt.file_names import no_file, without_compression

_WILDCARD = re.compile(r"\*\*/?|\*|\?|\[!?\]?[^\]]*\]")


def find_files(pattern: str, setting: str) -> list[Path]:
    """Return the files that a name or a glob matches, sorted by name.

    Raises:
        UserError: Nothing matches, or a match is not a file; the message names the setting.
    """
    return [path for _, path in _matches(pattern, setting)]


def find_pairs(
    source: str, target: str, settings: tuple[str, str]
) -> tuple[list[Path], list[Path]]:
    """Return the files of both sides in matching order.

    If both globs have the same wildcards, these must match the same text in two matching shards, so
    that a missing shard is found. Otherwise shards match by their order.

    Raises:
        UserError: A side has no file, the shards differ, or both sides are the same file.
    """
    sides = _matches(source, settings[0]), _matches(target, settings[1])
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"{settings[0]}={source} matches {len(sides[0]):,} files but {settings[1]}={target} "
            f"{len(sides[1]):,}: every shard needs its counterpart{_odd_one(sides)}"
        )
    same_wildcards = _WILDCARD.findall(source) == _WILDCARD.findall(target)
    for (source_part, source_path), (target_part, target_path) in zip(*sides, strict=True):
        if same_wildcards and source_part != target_part:
            raise UserError(
                f"the shards of {settings[0]}={source} and {settings[1]}={target} are not the "
                f"same: {source_path} would be paired with {target_path}"
            )
        if source_path.samefile(target_path):
            raise UserError(
                f"{' and '.join(dict.fromkeys(settings))} "
                f"{'are' if settings[0] != settings[1] else 'makes'} the same file, {source_path}"
                f"{'' if settings[0] != settings[1] else ', for both languages'}"
            )
    return [path for _, path in sides[0]], [path for _, path in sides[1]]


def _odd_one(sides: tuple[list["_Match"], list["_Match"]]) -> str:
    """Return a hint about the first shard without counterpart."""
    parts = [{part for part, _ in side} for side in sides]
    alone = [
        path
        for side, other in zip(sides, parts[::-1], strict=True)
        for p, path in side
        if p not in other
    ]
    return f"; {alone[0]} has none" if alone else ""


_Match = tuple[tuple[str, ...], Path]  # the texts that the wildcards match, and the file


def _matches(pattern: str, setting: str) -> list[_Match]:
    check_name(pattern, setting)
    expanded = os.path.expanduser(pattern)
    if _WILDCARD.search(expanded) and not os.path.exists(expanded):
        shape = re.compile(_as_regex(expanded), re.DOTALL)
        found = sorted(set(_glob(expanded)))
        if not found:
            raise UserError(f"{setting}={pattern} matches no file")
        matches = [(shape.fullmatch(name), name) for name in found]
        result = [(m.groups() if m else (name,), Path(name)) for m, name in matches]
    else:
        result = [((), Path(expanded))]
    for _, path in result:
        _check_file(path, f"{setting}={pattern}")
    return sorted(result)


def check_name(name: str, setting: str) -> None:
    """Check that a name can be the name of a file.

    Raises:
        UserError: The name contains a NUL or a character that no file name can contain.
    """
    try:
        if "\0" not in os.fsdecode(os.fsencode(name)):
            return
        found = "a NUL"
    except UnicodeEncodeError as error:
        found = f"U+{ord(name[error.start]):04X}"
    raise UserError(f"{setting}={name} contains {found}, which no file name can contain: remove it")


def _glob(pattern: str) -> Iterator[str]:
    """Yield the matches of a glob; ``**`` enters each folder once, even if links form a loop."""
    parts = pattern.split(os.sep)
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index("**")
    start = os.sep.join(parts[:at]) + (os.sep if at else "")
    rest = os.sep.join(parts[at:]).removeprefix("**")
    while rest.startswith(f"{os.sep}**"):  # several in a row are one
        rest = rest[3:]
    seen: set[tuple[int, int]] = set()
    for base in glob.iglob(start) if start else [""]:
        for folder in _folders(base, seen):
            inside = os.path.join(glob.escape(folder), rest.lstrip(os.sep) or "*")
            found = _glob(inside)
            yield from found if rest.strip(os.sep) else filter(os.path.isfile, found)


def _folders(folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Yield a folder and all folders below it that are not hidden, each of them once."""
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder or os.curdir)
            if (status.st_dev, status.st_ino) in seen or not stat.S_ISDIR(status.st_mode):
                continue
            names = sorted(entry.name for entry in os.scandir(folder or os.curdir))
        except OSError:
            continue
        seen.add((status.st_dev, status.st_ino))
        yield folder
        waiting += [os.path.join(folder, name) for name in names[::-1] if name[0] != "."]


def _check_file(path: Path, setting: str) -> None:
    try:
        path.stat()
    except FileNotFoundError:
        raise UserError(f"{setting}: {no_file(path)}") from None
    except OSError as error:
        raise UserError(f"{setting}: cannot read {path}: {error.strerror}") from error
    if os.path.isdir(path):
        raise UserError(f"{setting}: {path} is a folder; name the files in it, e.g. {path}/*.tsv")
    if not os.path.isfile(path):
        raise UserError(
            f"{setting}: {path} is not a regular file, so it cannot be read twice: write its "
            "content to one"
        )


def _as_regex(pattern: str) -> str:
    """Return a regular expression with a group for each wildcard of a glob."""
    result, at = "", 0
    for wildcard in _WILDCARD.finditer(pattern):
        result += re.escape(pattern[at : wildcard.start()])
        at = wildcard.end()
        match wildcard[0]:
            case "**" | "**/":
                result += "(.*)"
            case "*":
                result += "([^/]*)"
            case "?":
                result += "([^/])"
            case characters:
                inside = characters[1:-1].replace("\\", "\\\\")
                result += f"([{'^' + inside[1:] if inside[:1] == '!' else inside}])"
    return result + re.escape(pattern[at:])


def format_suffix(path: Path) -> str:
    """Return the last suffix except that of compression, in lower case: .tsv for a.tsv.gz."""
    return without_compression(path).suffix.lower()
