"""`nmt score`: a line per sentence, a column per file of translations."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]

SOURCES = ["one two three", "", "four", "five six seven"]
RIGHT = ["eins zwei drei", "", "vier", "fünf sechs sieben"]
WRONG = ["drei", "eins", "vier vier vier", "fünf sechs"]


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[object]]:
    def write(*targets: list[str]) -> list[object]:
        flags: list[object] = ["--source", _write(tmp_path / "source", SOURCES)]
        for number, lines in enumerate(targets):
            flags += ["--target", _write(tmp_path / f"target-{number}", lines)]
        return flags

    return write


def _write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_every_sentence_has_a_line_and_every_file_a_column(
    nmt: Nmt, heads_model: Path, files: Callable[..., list[object]]
) -> None:
    score = ("score", "--model", heads_model)
    one = nmt(*score, *files(RIGHT))
    assert one.status == 0, one.err
    alone = [float(line) for line in one.out.splitlines()]
    assert len(alone) == len(SOURCES)
    assert all(value < 0 for value in alone)
    both = nmt(*score, *files(RIGHT, WRONG)).out.splitlines()
    columns = [[float(value) for value in line.split("\t")] for line in both]
    assert [row[0] for row in columns] == pytest.approx(alone, abs=2e-4)
    share = sum(right > wrong for right, wrong in columns) / len(columns)
    shown = nmt(*score, *files(RIGHT, WRONG), "--contrastive", "--json").out
    assert json.loads(shown)["accuracy"] == share
    text = nmt(*score, *files(RIGHT, WRONG), "--contrastive").out
    assert text.startswith(f"accuracy {share:.2%}")


def test_pieces_sum_to_the_score(
    nmt: Nmt, heads_model: Path, files: Callable[..., list[object]]
) -> None:
    score = ("score", "--model", heads_model, *files(RIGHT))
    lines = nmt(*score, "--tokens", "--json").out.splitlines()
    total = [json.loads(line)["targets"][0] for line in lines]
    mean = [float(line) for line in nmt(*score, "--normalize", "mean").out.splitlines()]
    for record, average in zip(total, mean, strict=True):
        assert record["score"] == pytest.approx(sum(record["log_probs"]), abs=1e-6)
        assert average == pytest.approx(record["score"] / len(record["log_probs"]), abs=1e-4)
        assert record["pieces"][-1] == "</s>"
    plain = nmt(*score, "--tokens").out.splitlines()
    assert plain[0].split(" ")[-1].startswith("</s>=")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--contrastive"], "another --target"),
        (["--length-penalty", "1"], "--normalize length_penalty"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    nmt: Nmt,
    heads_model: Path,
    files: Callable[..., list[object]],
    flags: list[str],
    message: str,
) -> None:
    result = nmt("score", "--model", heads_model, *files(RIGHT), *flags)
    assert result.status == 2
    assert message in result.err
    assert result.err.count("\n") == 1


def test_nothing_is_no_accuracy(nmt: Nmt, heads_model: Path, tmp_path: Path) -> None:
    empty = _write(tmp_path / "empty", [])
    texts = ("--source", empty, "--target", empty, "--target", empty)
    result = nmt("score", "--model", heads_model, *texts, "--contrastive")
    assert (result.status, result.out) == (2, "")
    assert "the files are empty" in result.err


def test_files_of_different_lengths_are_refused(
    nmt: Nmt, heads_model: Path, files: Callable[..., list[object]]
) -> None:
    result = nmt("score", "--model", heads_model, *files(RIGHT[:3]))
    assert result.status == 2
    assert "line 4" in result.err
