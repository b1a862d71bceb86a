"""`nmt translate --sample`: the same seed draws the same samples, for arguments and for lines."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]

LINES = ["one two three", "", "four", "five six seven eight nine", "ten one"] * 4


def test_draws_depend_only_on_the_seed_and_the_line(nmt: Nmt, heads_model: Path) -> None:
    text = "".join(f"{line}\n" for line in LINES).encode()
    sample = ("translate", "--model", heads_model, "--sample")
    first = nmt(*sample, stdin=text)
    assert first.status == 0, first.err
    lines = first.out.split("\n")
    assert len(lines) == len(LINES) + 1
    assert lines[1] == ""
    assert lines[0] != lines[5], "the same sentence got the same draw in two lines"
    assert nmt(*sample, "--batch-size", 1, stdin=text).out == first.out  # read in two chunks
    assert nmt(*sample, "--seed", 1, "--temperature", 1, *LINES).out == first.out
    assert nmt(*sample, "--seed", 2, stdin=text).out != first.out
    several = nmt(*sample, "--n-best", 2, "one two three").out.splitlines()
    assert [line.split("\t")[1] for line in several][0] == lines[0]
    one = nmt(*sample, "--top-k", 1, "one two").out
    assert one == nmt(*sample, "--top-p", "1e-9", "one two").out
    assert one == nmt("translate", "--model", heads_model, "--beam-size", 1, "one two").out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--temperature", "2"], "add --sample"),
        (["--top-k", "2"], "add --sample"),
        (["--top-p", "0.9"], "add --sample"),
        (["--seed", "2"], "add --sample"),
        (["--sample", "--temperature", "0"], "temperature is 0.0"),
        (["--sample", "--top-k", "0"], "top-k is 0"),
        (["--sample", "--top-p", "0"], "top-p is 0.0"),
        (["--sample", "--seed", "-1"], "seed is -1"),
        (["--sample", "--beam-size", "2"], "leave out --beam-size"),
    ],
)
def test_options_without_effect_are_refused(
    refused: Callable[..., str], heads_model: Path, flags: list[str], message: str
) -> None:
    assert message in refused("translate", "--model", heads_model, *flags, "one")
