"""Runs of one experiment are recognized although their settings name its files differently."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.schema import Config
from nmt.run.comparison.run_comparison import differing_settings
from nmt.run.comparison.same_files import by_configuration
from nmt.run.run_record import RunRecord, RunStatus, find_runs
from nmt.sweeps.overrides import compose_config

LANGUAGES = ["data.source_language=en", "data.target_language=de"]
FILES = ["data=files", *LANGUAGES]
SPLITS = ("train", "valid", "test")

Record = Callable[..., RunRecord]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Return a factory of finished runs with text in the folder ``data`` and a link ``link``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    os.symlink("data", tmp_path / "link")
    for split in SPLITS:
        (tmp_path / "data" / f"{split}.tsv").touch()

    def make(*settings: str, seed: int = 1, text: str | None = None) -> RunRecord:
        config: Config = compose_config([*settings, f"seed={seed}"], {})
        summary: dict[str, Any] = {} if text is None else {"text": text}
        return RunRecord(tmp_path, config, RunStatus.FINISHED, summary, [], None)

    return make


def _files(folder: str) -> list[str]:
    return [*FILES, *(f"data.{split}.path={folder}/{split}.tsv" for split in SPLITS)]


def _hub(folder: str) -> list[str]:
    return ["data=huggingface", *LANGUAGES, "data.path=some/corpus", f"data.root={folder}"]


def _gold(file: str) -> list[str]:
    return [f"data.gold.{part}={file}" for part in ("source", "target", "links")]


def _more(key: str) -> Callable[[str], list[str]]:
    return lambda folder: [*_files("data"), f"{key}={folder}/train.tsv"]


@pytest.mark.parametrize(
    "settings",
    [
        _files,
        _hub,
        _more("+data.extra.more.path"),
        lambda folder: [*_files("data"), *_gold(f"{folder}/train.tsv")],
        _more("tokenizer.model"),
        _more("training.init_from"),
        _more("training.distillation.teacher"),
    ],
)
@pytest.mark.parametrize("other", ["./data", "data/", "data/../data", "link", "{cwd}/data"])
def test_other_names_of_the_same_files_make_no_other_experiment(
    settings: Callable[[str], list[str]], other: str, record: Record, tmp_path: Path
) -> None:
    first = record(*settings("data"))
    second = record(*settings(other.format(cwd=tmp_path)), seed=2)
    assert by_configuration([first, second]) == [[0, 1]]
    assert differing_settings([first, second]) == ["seed"]
    elsewhere = record(*settings("elsewhere"), seed=3)
    assert by_configuration([first, elsewhere, second]) == [[0, 2], [1]]
    assert len(differing_settings([first, elsewhere])) > 1


def test_a_copy_of_the_text_makes_no_other_experiment(record: Record) -> None:
    """The runs recorded the same fingerprint of their text."""
    first = record(*_files("data"), text="2 pairs, 1")
    copy = record(*_files("copy"), seed=2, text="2 pairs, 1")
    other = record(*_files("other"), seed=3, text="3 pairs, 2")
    assert by_configuration([first, copy, other]) == [[0, 1], [2]]
    assert differing_settings([first, copy]) == ["seed"]
    earlier = record(*_files("copy"), seed=4)  # of a version without fingerprints in summaries
    assert by_configuration([earlier, other, first, copy]) == [[0, 2, 3], [1]]
    assert by_configuration([first, earlier, copy]) == [[0, 1, 2]]
    faster = record(*_files("copy"), "optimizer.learning_rate=0.1", text="2 pairs, 1")
    assert by_configuration([first, faster]) == [[0], [1]]


@pytest.mark.parametrize(
    "settings", [_gold, _more("training.init_from")], ids=["gold", "init_from"]
)
def test_the_same_text_does_not_excuse_other_files(
    settings: Callable[[str], list[str]], record: Record
) -> None:
    """The fingerprint of the text says nothing of them."""
    runs = [
        record(*_files("data"), *settings(name), seed=seed, text="2 pairs, 1")
        for seed, name in enumerate(("data", "other"), start=1)
    ]
    assert by_configuration(runs) == [[0], [1]]
    assert differing_settings(runs) != ["seed"]


def test_a_run_that_is_named_twice_is_compared_once(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.json").touch()
    os.symlink(run, tmp_path / "runs" / "zzz")
    assert find_runs([run, tmp_path / "runs", tmp_path / "runs" / ".." / "runs" / "one"]) == [run]
