"""Commands that can be typed as they stand: they unpack a file first, or show where it errs.

In a remedy every command stands on a line of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.data.locations import Place
from nmt.data.sources.open_source import SUFFIXES
from nmt.data.sources.paths import format_suffix

_AROUND = 3  # lines shown before and behind a suspicious one
_OF_LINES = ("lines", "tsv", "csv")


@dataclass(frozen=True)
class _Packer:
    unpack: str
    pack: str
    show: str


_PACKERS = {
    ".gz": _Packer("gunzip", "gzip", "zcat"),
    ".bz2": _Packer("bunzip2", "bzip2", "bzcat"),
    ".xz": _Packer("unxz", "xz", "xzcat"),
    ".zst": _Packer("unzstd --rm", "zstd --rm", "zstdcat"),
}


def with_command(words: str, command: str, file: str) -> str:
    """Return what to do, with a command that mends the file where a shell can.

    Args:
        words: What to do.
        command: How, with ``{file}`` for the file's name; blank: words are all there is.
        file: It may be compressed, or of a format whose texts no command on lines finds.
    """
    if not command:
        return words
    if not _of_lines(file):
        return f"{words}, in the program that wrote {file}"
    packer = _PACKERS.get(Path(file).suffix.lower())
    if packer is None:
        return f"{words}:\n{command.replace('{file}', file)}"
    bare = file[: -len(Path(file).suffix)]
    lines = [f"{words}:", f"{packer.unpack} '{file}'", command.replace("{file}", bare)]
    if "sed -i" in command:
        lines.append(f"{packer.pack} '{bare}'")
    return "\n".join(lines)


def to_compare(places: Sequence[Place]) -> list[str]:
    """Return commands that print the lines around places, one for each file of lines."""
    commands = {p.file: _show(p.file, p.line) for p in places if p.line and _of_lines(p.file)}
    return list(commands.values())


def _show(file: str, line: int) -> str:
    some = f"sed -n '{max(1, line - _AROUND)},{line + _AROUND}p'"
    packer = _PACKERS.get(Path(file).suffix.lower())
    return f"{some} '{file}'" if packer is None else f"{packer.show} '{file}' | {some}"


def _of_lines(file: str) -> bool:
    return SUFFIXES.get(format_suffix(Path(file)), "lines") in _OF_LINES and not Path(file).is_dir()
