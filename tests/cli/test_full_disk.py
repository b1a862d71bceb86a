"""A disk that is full at any operation: a command that writes a file ends in one line.

The file of before is unchanged, and no unfinished one stays.
"""

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import Failure, FaultyDisk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names of descriptors: /proc")

ATTENTION = ["--source", "{corpus}/valid.en", "--reference", "{corpus}/valid.de", "--output"]
COMMANDS = {
    "average": ["average", "{run}", "--output", "{disk}/file.pt"],
    **{
        suffix: ["attention", "--model", "{run}", *ATTENTION, f"{{disk}}/file.{suffix}"]
        for suffix in ("json", "html", "align")
    },
    **{
        suffix: ["attention", "--model", "{run}", "one two", "--output", f"{{disk}}/file.{suffix}"]
        for suffix in ("png", "pdf", "svg")
    },
}


@pytest.mark.parametrize(
    "name",
    [
        "average",
        *(pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS if name != "average"),
    ],
)
def test_one_line_and_the_earlier_file(
    nmt: Callable[..., Any], run: Path, corpus: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    places = {"run": run, "corpus": corpus, "disk": folder}
    arguments = [argument.format(**places) for argument in COMMANDS[name]]
    with FaultyDisk(folder) as disk:
        result = nmt(*arguments)
    assert result.status == 0, result.err
    (file,) = folder.iterdir()
    earlier = file.read_bytes()
    for number in range(1, len(disk.done) + 1):
        with FaultyDisk(folder, Failure(number, errno.ENOSPC)):
            result = nmt(*arguments)
        what = f"{disk.done[number - 1]}\n{result.err}"
        assert [path.name for path in folder.iterdir()] == [file.name], what
        assert "Traceback" not in result.err, what
        lines = [line for line in result.err.splitlines() if line.startswith("nmt: ")]
        if result.status == 0:  # the new file is complete; only removing the old name failed
            assert lines == [], what
            continue
        assert result.status == 2, what
        assert len(lines) == 1, what
        assert "No space left on device" in lines[0], what
        assert str(folder) in lines[0], what
        if name not in (
            "pdf",
            "svg",
            "average",
        ):  # these contain a date, or are replaced at the end
            assert file.read_bytes() == earlier, what
