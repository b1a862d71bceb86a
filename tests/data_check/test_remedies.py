"""The commands of remedies work as they are."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from nmt.data.locations import Location
from nmt.data.shell_commands import show_commands
from nmt.data_check.remedies import with_command
from nmt.data_check.rule_texts import RULES

FAULTY = "\ufeffa\u200b\xad\u200e\u202eb\u2060\u2069\ufeff ü\r\n"
INVISIBLE = RULES["invisible_character"]
needs_shell = pytest.mark.skipif(
    not all(map(shutil.which, ("sh", "gzip", "gunzip", "zcat"))), reason="needs a POSIX shell"
)


def _typed(lines: list[str], folder: Path) -> str:
    command = "\n".join(lines)
    done = subprocess.run(["sh", "-ec", command], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode()


@needs_shell
@pytest.mark.parametrize("name", ["a b.de", "a b.de.gz", "it's a $b.de", "it's.de.gz"])
def test_the_command_removes_only_invisible_characters(name: str, tmp_path: Path) -> None:
    path, packed = tmp_path / name, name.endswith(".gz")
    data = FAULTY.encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    words, *commands = with_command(INVISIBLE.remedy, INVISIBLE.command, name).splitlines()
    assert words == "remove them:"
    _typed(commands, tmp_path)
    left = path.read_bytes()
    assert (gzip.decompress(left) if packed else left).decode() == "ab ü\r\n"


@needs_shell
def test_the_lines_around_a_location_are_shown(tmp_path: Path) -> None:
    text = "".join(f"{line}\n" for line in range(1, 21)).encode()
    (tmp_path / "it's").write_bytes(text)
    (tmp_path / "b.gz").write_bytes(gzip.compress(text))
    for line, shown in ((10, range(7, 14)), (1, range(1, 5))):
        for file in ("it's", "b.gz"):
            printed = _typed(show_commands([Location(file, line)]), tmp_path)
            assert [int(number) for number in printed.split()] == list(shown)


@pytest.mark.parametrize("file", ["a.jsonl", "a.jsonl.gz", "a.parquet", "a.tmx", "a.po"])
def test_formats_without_lines_have_no_line_command(file: str) -> None:
    remedy = with_command(INVISIBLE.remedy, INVISIBLE.command, file)
    assert "sed" not in remedy
    assert file in remedy
    assert not show_commands([Location(file, 3), Location(file, 3)])


def test_locations_in_one_file_are_shown_once() -> None:
    assert len(show_commands([Location("a.tsv", 3), Location("a.tsv", 3)])) == 1
    assert not show_commands([Location("a.tsv", None)])
