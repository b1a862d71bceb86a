"""`nmt shortlist` learns from the text of a run, and every command that searches takes its file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import NUMBERS, ZAHLEN

import nmt as package
from nmt.decoding.constrained.shortlist_file import NAME
from nmt.decoding.translator import Translator

Nmt = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture
def my_run(run: Path, tmp_path: Path) -> Path:
    """A run of our own, whose corpus is the shared one."""
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture
def text(tmp_path: Path) -> list[object]:
    """Options that name a text in which each number is translated alone."""
    sides = tmp_path / "numbers.en", tmp_path / "numbers.de"
    for path, words in zip(sides, (NUMBERS, ZAHLEN), strict=True):
        path.write_text("\n".join(words * 3) + "\n")
    return ["--source", sides[0], "--target", sides[1]]


def test_a_shortlist_stands_in_the_run_folder_and_is_used(nmt: Nmt, my_run: Path) -> None:
    result = nmt("shortlist", my_run)
    assert result.status == 0, result.err
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines[0].startswith(f"{my_run / NAME}: ")
    assert lines[1].startswith("validation text: ")
    assert lines[2] == f"nmt translate --model {my_run} --shortlist {my_run}"
    found = nmt(*lines[2].split()[1:], "one two three", "seven")
    assert found.status == 0, found.err
    translator = Translator.from_checkpoint(my_run, shortlist=my_run)
    assert translator.shortlist is not None
    expected = translator.translate(["one two three", "seven"])
    assert found.out.splitlines() == [one.text for one in expected]
    model = package.load(my_run, shortlist=my_run)
    assert model.translate(["one two three", "seven"]) == found.out.splitlines()


def test_a_text_in_files_replaces_one_that_is_gone(
    nmt: Nmt, refused: Refused, my_run: Path, text: list[object], tmp_path: Path
) -> None:
    from nmt.checkpoint import load_checkpoint, save_checkpoint

    for name in ("best.pt", "last.pt"):
        file = my_run / "checkpoints" / name
        checkpoint = load_checkpoint(file)
        checkpoint.config.data.train.source = str(tmp_path / "gone.en")
        save_checkpoint(checkpoint, file)
    message = refused("shortlist", my_run)
    assert f"cannot read the training text of {my_run}" in message
    assert "gone.en" in message
    assert message.endswith("or give it by --source FILE --target FILE")
    assert not (my_run / NAME).exists()
    output = tmp_path / "numbers.bin"
    result = nmt("shortlist", my_run, *text, "--candidates", 1, "--output", output)
    assert result.status == 0, result.err
    assert f"from {3 * len(NUMBERS)} pairs" in result.out
    assert nmt("translate", "--model", my_run, "--shortlist", output, "one").status == 0


def test_evaluate_bench_and_ensembles_take_it(nmt: Nmt, my_run: Path, tmp_path: Path) -> None:
    nmt("shortlist", my_run)
    source, target = (tmp_path / f"test.{side}" for side in ("en", "de"))
    source.write_text("one two\nthree\n")
    target.write_text("eins zwei\ndrei\n")
    sides = ["--source", source, "--reference", target]
    result = nmt("evaluate", "--model", my_run, "--shortlist", my_run, *sides)
    assert result.out.startswith("BLEU"), result.err
    models = ["--model", my_run, "--model", my_run]
    result = nmt("translate", *models, "--shortlist", my_run, "one two")
    assert (result.status, len(result.out.splitlines())) == (0, 1), result.err
    figures = tmp_path / "figures.json"
    options = ["--source", source, "--rounds", 1, "--exact", 3, "--json", figures]
    result = nmt("bench", "decode", "--model", my_run, "--shortlist", my_run, *options)
    assert result.status == 0, result.err
    assert "as fast with it" in result.out
    assert json.loads(figures.read_text())["shortlist_gain"]["ratio"] > 0


def test_wrong_options_are_refused(
    refused: Refused, my_run: Path, text: list[object], tmp_path: Path
) -> None:
    file = my_run / "checkpoints" / "best.pt"
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    wrong: dict[str, list[object]] = {
        "give both sides of a text": [my_run, *text[:2]],
        "there is no file": [my_run, "--source", tmp_path / "no", "--target", tmp_path / "no"],
        "--candidates is 0; it must be at least 1": [my_run, "--candidates", 0],
        "--frequent is -1; it must be at least 0": [my_run, "--frequent", -1],
        "name the shortlist to write by --output FILE": [file],
        "is a folder; give a file": [my_run, "--output", tmp_path],
        "has no pair with 1 to": [my_run, "--source", empty, "--target", empty],
    }
    for message, arguments in wrong.items():
        assert message in refused("shortlist", *arguments)
    assert f"has no {NAME}" in refused("translate", "--model", my_run, "--shortlist", my_run, "a")
    assert "--shortlist fits a trained model" in refused("bench", "decode", "--shortlist", my_run)
    assert not (my_run / NAME).exists()


def test_only_ctranslate2_takes_a_shortlist(
    nmt: Nmt, refused: Refused, my_run: Path, tmp_path: Path
) -> None:
    nmt("shortlist", my_run)
    options = ["--to", "safetensors", "--output", tmp_path / "out", "--shortlist", my_run]
    assert "--to safetensors has no form for a shortlist" in refused("export", my_run, *options)
    assert not (tmp_path / "out").exists()
