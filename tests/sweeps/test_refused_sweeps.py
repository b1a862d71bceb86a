"""A sweep that is refused, and a dry run, leave no folders behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
Tiny = Callable[[Path], list[str]]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["seed=1,2", "run.dir=fixed"], ["run.dir=fixed", "${seed}"]),
        (["seed=1,2", "run.dir=2026_11_27"], ["run.dir=2026_11_27"]),
        (["optimizer=sgd,adadelta", "optimizer.beta1=0.8"], ["optimizer.beta1 belongs to"]),
        (["model=transformer", "model/decoder/attention=none,bahdanau"], ["model/decoder=rnn"]),
        (["seed=1,2", "training.max_update=3"], ["did you mean training.max_updates"]),
        (["optimizer=sgd,none"], ["optimizer=none"]),
        (["sweep=attentions"], ["did you mean attention?"]),
        (["compare=attentions"], ["did you mean attention?"]),
    ],
)
def test_a_refused_sweep_leaves_nothing(
    arguments: list[str], parts: list[str], refused: Callable[..., str], empty: Path
) -> None:
    message = refused("train", "-m", *arguments)
    assert all(part in message for part in parts), message
    assert list(empty.iterdir()) == []


def test_a_fixed_folder_in_a_file_is_refused_at_once(
    refused: Callable[..., str], empty: Path
) -> None:
    conf = empty.parent / "conf" / "experiment"
    conf.mkdir(parents=True)
    (conf / "mine.yaml").write_text("# @package _global_\nrun: {dir: fixed}\n")
    arguments = ["--config-dir", conf.parent, "experiment=mine"]
    assert "run.dir=fixed" in refused("train", "-m", *arguments, "seed=1,2")
    assert list(empty.iterdir()) == []


def test_a_sweep_whose_jobs_are_all_refused_leaves_nothing(nmt: Call, empty: Path) -> None:
    result = nmt("train", "-m", "training.max_updates=0,-1")
    assert result.status == 2
    assert result.err.count("training.max_updates is") == 2
    assert "sweep folder" not in result.out
    assert list(empty.iterdir()) == []


def test_a_sweep_keeps_a_folder_that_was_there(nmt: Call, empty: Path) -> None:
    (empty / "mine").mkdir()
    assert nmt("train", "-m", "hydra.sweep.dir=mine/a", "training.max_updates=0,-1").status == 2
    assert [path.name for path in empty.iterdir()] == ["mine"]


def test_a_dry_run_leaves_nothing(nmt: Call, corpus: Path, tiny: Tiny, empty: Path) -> None:
    settings = [*tiny(corpus), "training.dry_run=true"]
    for arguments in (["seed=1"], ["run.dir=mine"], ["-m", "seed=1,2"]):
        result = nmt("train", *settings, *arguments)
        assert result.status == 0, result.err
        assert list(empty.iterdir()) == []
