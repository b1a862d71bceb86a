"""`nmt prepare` runs the first stage of `nmt train` and reports what it found."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]
Refused = Callable[..., str]


@pytest.fixture
def settings(corpus: Path, tiny: Tiny, tmp_path: Path) -> list[str]:
    return [*tiny(corpus), f"data.cache_dir={tmp_path / 'cache'}"]


def test_a_second_call_and_a_training_find_the_prepared_corpus(
    nmt: Nmt, settings: list[str], tmp_path: Path
) -> None:
    first, second = (nmt("prepare", *settings) for _ in range(2))
    for result in (first, second):
        assert result.status == 0, result.err
        assert Path(result.out.strip()).parent == tmp_path / "cache"
        assert "100 training pairs, 5 validation, 5 test" in result.err
        assert "an epoch: " in result.err
    assert first.out == second.out
    assert "; prepared in" in first.err
    assert "; found prepared in" in second.err
    trained = nmt("train", *settings, f"run.dir={tmp_path / 'run'}")
    assert trained.status == 0, trained.err
    assert "; found prepared in" in trained.err


def test_filtered_pairs_are_reported_and_written(
    nmt: Nmt, settings: list[str], corpus: Path, tmp_path: Path
) -> None:
    for language in ("en", "de"):
        with (corpus / f"train.{language}").open("a") as file:
            file.write("same words on both sides\n\n")
    result = nmt(
        "prepare", *settings, "data.filters.copies=true", f"data.dropped={tmp_path / 'dropped.tsv'}"
    )
    assert result.status == 0, result.err
    table = [line.split() for line in result.err.splitlines()]
    assert ["dropped", "2"] in [line[:2] for line in table]
    assert ["copy", "1"] in [line[:2] for line in table]
    assert ["blank", "1"] in [line[:2] for line in table]
    rows = [line.split("\t")[:3] for line in (tmp_path / "dropped.tsv").read_text().splitlines()]
    assert rows[1:] == [
        ["copy", str(corpus / "train.en"), "101"],
        ["blank", str(corpus / "train.en"), "102"],
    ]


def test_flags_of_training_are_refused(refused: Refused) -> None:
    message = refused("prepare", "-m", "seed=1,2")
    assert (
        message
        == "nmt prepare has no option -m; settings are written KEY=VALUE, see nmt prepare --help"
    )


def test_help_describes_the_command(nmt: Nmt) -> None:
    result = nmt("prepare", "--help")
    assert result.status == 0
    assert "check, filter and encode a corpus" in result.out


def test_a_tag_that_is_not_one_piece_is_reported(nmt: Nmt, settings: list[str]) -> None:
    """Otherwise the tag is text, whose segmentation depends on the words around it."""
    tag, symbols = "data.train.tag='<bt>'", "tokenizer.symbols=['<bt>']"
    cut = nmt("prepare", *settings, tag, "tokenizer.vocab_size=50")
    assert cut.status == 0, cut.err
    assert f'"{symbols}"' in cut.err
    whole = nmt("prepare", *settings, tag, symbols, "tokenizer.vocab_size=50")
    assert whole.status == 0, whole.err
    assert "tokenizer.symbols" not in whole.err


def test_weights_that_leave_no_pair_are_refused(refused: Refused, settings: list[str]) -> None:
    message = refused("prepare", *settings, "data.train.weight=0.0001", after_progress=True)
    assert message.startswith("an epoch has no pairs: ")


def test_a_home_folder_stands_for_itself(
    nmt: Nmt, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell does not expand the ~ in data.cache_dir=~/cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    prepared = Path(nmt("prepare", *settings).out.strip())
    (tmp_path / "own.model").write_bytes((prepared / "source.model").read_bytes())
    result = nmt(
        *("prepare", *settings[:-1], "data.cache_dir=~/other", "data.dropped=~/dropped.tsv"),
        "tokenizer.model=~/own.model",
    )
    assert result.status == 0, result.err
    assert Path(result.out.strip()).parent == tmp_path / "other"
    assert (tmp_path / "dropped.tsv").exists()


def test_it_does_not_load_torch() -> None:
    """So it starts quickly, and its worker processes use little memory."""
    rooms = (
        "nmt.cli.prepare, nmt.run.preparation, nmt.sweeps.overrides, "
        "nmt.data.preparation.prepared_corpus"
    )
    code = f"import sys, {rooms}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
