"""`nmt translate --sample`: the same seed draws the same, by whatever way the lines come in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]

LINES = ["one two three", "", "four", "five six seven eight nine", "ten one"] * 4


def test_draws_are_made_by_seed_and_line_alone(nmt: Nmt, heads_model: Path) -> None:
    text = "".join(f"{line}\n" for line in LINES).encode()
    sample = ("translate", "--model", heads_model, "--sample")
    first = nmt(*sample, stdin=text)
    assert first.status == 0, first.err
    lines = first.out.split("\n")
    assert len(lines) == len(LINES) + 1
    assert lines[1] == ""
    assert lines[0] != lines[5], "the same line was drawn alike at two places"
    assert nmt(*sample, "--batch-size", 1, stdin=text).out == first.out  # read in two chunks
    assert nmt(*sample, "--seed", 1, "--temperature", 1, *LINES).out == first.out
    assert nmt(*sample, "--seed", 2, stdin=text).out != first.out
    several = nmt(*sample, "--n-best", 2, "one two three").out.splitlines()
    assert [line.split("\t")[1] for line in several][0] == lines[0]
    one = nmt(*sample, "--top-k", 1, "one two").out
    assert one == nmt("translate", "--model", heads_model, "--beam-size", 1, "one two").out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--temperature", "2"], "add --sample"),
        (["--top-k", "2"], "add --sample"),
        (["--seed", "2"], "add --sample"),
        (["--sample", "--temperature", "0"], "temperature is 0.0"),
        (["--sample", "--top-k", "0"], "top-k is 0"),
        (["--sample", "--seed", "-1"], "seed is -1"),
        (["--sample", "--beam-size", "2"], "leave --beam-size out"),
    ],
)
def test_flags_that_mean_nothing_are_refused(
    refused: Callable[..., str], heads_model: Path, flags: list[str], said: str
) -> None:
    assert said in refused("translate", "--model", heads_model, *flags, "one")
