"""COMET is computed by another program, which gets the text as files."""

import stat
from pathlib import Path

import pytest

from nmt.errors import UserError
from nmt.evaluation.comet import comet_score

TEXT = (["a dog", "two men"], ["ein Hund", "zwei"], ["ein Hund", "zwei Männer"])


def _program(folder: Path, body: str) -> str:
    """Write a program in the place of comet-score."""
    path = folder / "comet-score"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_program_gets_the_lines_and_its_score_is_returned(tmp_path: Path) -> None:
    body = f"""echo "$@" > {tmp_path}/arguments
while [ $# -gt 1 ]; do case $1 in -s|-t|-r) cp "$2" "{tmp_path}/$1";; esac; shift; done
printf 'Seed set to 1\\n{tmp_path}/x.txt\\tscore: 0.8123\\n'"""
    assert comet_score(*TEXT, model="M", program=_program(tmp_path, body)) == 0.8123
    for option, lines in zip(("-s", "-t", "-r"), TEXT, strict=True):
        assert (tmp_path / option).read_text(encoding="utf-8").splitlines() == lines
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[arguments.index("--model") + 1] == "M"
    assert arguments[arguments.index("--gpus") + 1] == "0"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'no such model' >&2; exit 3", "failed with the model M: no such model"),
        ("true", "exit status 0, no score"),
    ],
)
def test_a_failure_is_named(tmp_path: Path, body: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        comet_score(*TEXT, model="M", program=_program(tmp_path, body))


def test_a_missing_program_is_named_with_the_remedy(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent")
    with pytest.raises(UserError, match="install unbabel-comet in a Python environment of its own"):
        comet_score(*TEXT, model="M", program=absent)
