"""Adds shell commands to remedies, ready to be copied.

The first command decompresses a compressed file. Each command is on a line of its own.
"""

from dataclasses import dataclass
from pathlib import Path

from nmt.data.shell_commands import has_lines, inside_quotes


@dataclass(frozen=True)
class _Compression:
    unpack: str
    pack: str


_COMPRESSIONS = {
    ".gz": _Compression("gunzip", "gzip"),
    ".bz2": _Compression("bunzip2", "bzip2"),
    ".xz": _Compression("unxz", "xz"),
    ".zst": _Compression("unzstd --rm", "zstd --rm"),
}


def with_command(words: str, command: str, file: str) -> str:
    """Return a remedy, followed by commands if the shell can fix the file.

    Args:
        words: The remedy in words.
        command: The command, with ``{file}`` for the name of the file; empty: there is none.
        file: The file to fix, which may be compressed. A format without lines gets no command.
    """
    if not command:
        return words
    if not has_lines(file):
        return f"{words}, in the program that wrote {file}"
    file = inside_quotes(file)
    archive, inside, member = file.partition(".zip/")
    if inside:
        unzip = f"unzip '{archive}.zip' '{member}'"
        return f"{words}:\n{unzip}\n{command.replace('{file}', member)}"
    compression = _COMPRESSIONS.get(Path(file).suffix.lower())
    if compression is None:
        return f"{words}:\n{command.replace('{file}', file)}"
    bare = file[: -len(Path(file).suffix)]
    lines = [f"{words}:", f"{compression.unpack} '{file}'", command.replace("{file}", bare)]
    if "sed -i" in command:
        lines.append(f"{compression.pack} '{bare}'")
    return "\n".join(lines)
