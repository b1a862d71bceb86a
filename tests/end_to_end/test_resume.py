"""A run that was interrupted or killed goes on by the same command, as if nothing had happened."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.reporting.metric_log import read_metrics
from nmt.training.trainer import Trainer

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]

LONGER = [
    *("training.max_updates=8", "training.validate_every=3", "training.save_every=2"),
    *("logging.log_every=1", "training.batch_tokens=64", "logging.samples=0"),
    "decoding.beam_size=1",
]
MEMORIES = {  # what a run has to remember, besides weights and optimizer
    "average": ["training.ema_decay=0.9"],
    "plateau": ["schedule=plateau", "schedule.patience=1", "schedule.warmup=1"],
    "accumulation": ["training.accumulation=2", "schedule=inverse_sqrt"],
}


@pytest.fixture
def settings(corpus: Path, tiny: Tiny) -> list[str]:
    return [*tiny(corpus), *LONGER]


@pytest.fixture
def at_update(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Send this process a signal at the beginning of an update, once."""
    whole = Trainer._update

    def arrange(number: int, signal_number: int) -> None:
        def update(self: Trainer, batches: Any) -> None:
            if self.progress.update + 1 == number:
                monkeypatch.setattr(Trainer, "_update", whole)
                os.kill(os.getpid(), signal_number)
            whole(self, batches)

        monkeypatch.setattr(Trainer, "_update", update)

    return arrange


def _assert_same_run(one: Path, other: Path) -> None:
    for name in ("last.pt", "best.pt"):
        first, second = (torch.load(run / "checkpoints" / name) for run in (one, other))
        assert first["model"].keys() == second["model"].keys()
        for key, weight in first["model"].items():
            assert torch.equal(weight, second["model"][key]), (name, key)
    rows = [
        [
            {k: v for k, v in row.items() if k not in ("time", "train/tokens_per_second")}
            for row in read_metrics(run / "metrics.jsonl")
        ]
        for run in (one, other)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("memory", "signal_number"),
    [
        ("average", signal.SIGINT),
        pytest.param("plateau", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("accumulation", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_end(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    at_update: Callable[[int, int], None],
    memory: str,
    signal_number: int,
) -> None:
    settings = [*settings, *MEMORIES[memory]]
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    for update in (1, 4):
        at_update(update, signal_number)
        result = nmt("train", *settings, f"run.dir={interrupted}")
        assert result.status == 75, result.err
        assert f"stopped after update {update}; the same command goes on" in result.err
        assert not (interrupted / "summary.json").exists()
    result = nmt("train", *settings, f"run.dir={interrupted}")
    assert result.status == 0, result.err
    assert "going on after update 4" in result.err
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    _assert_same_run(interrupted, whole)


def test_a_second_interruption_ends_the_run_at_once_and_it_still_goes_on(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(self: Trainer, batches: Any) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", impatient)
        result = nmt("train", *settings, f"run.dir={tmp_path / 'run'}")
    assert result.status == 130
    assert result.err.splitlines()[-1] == "nmt: interrupted"
    assert nmt("train", *settings, f"run.dir={tmp_path / 'run'}").status == 0


def test_a_run_does_not_go_on_with_other_pieces(
    nmt: Nmt,
    settings: Sequence[str],
    corpus: Path,
    tmp_path: Path,
    at_update: Callable[[int, int], None],
) -> None:
    """Text that changed makes another tokenizer, whose ids mean nothing to the weights."""
    at_update(2, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={tmp_path / 'run'}").status == 75
    for language, word, other in (("en", "seven", "zork"), ("de", "sieben", "quark")):
        path = corpus / f"train.{language}"
        path.write_text(path.read_text().replace(word, other))
    result = nmt("train", *settings, f"run.dir={tmp_path / 'run'}")
    assert result.status == 2, result.err
    assert "nmt: the text is no longer what" in result.err


@pytest.mark.parametrize("workers", [0, 2])
def test_other_cuts_of_words_are_the_same_after_an_interruption(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    at_update: Callable[[int, int], None],
    workers: int,
) -> None:
    settings = [*settings, "tokenizer.sampling=0.1"]
    at_update(5, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={tmp_path / 'interrupted'}").status == 75
    again = [*settings, f"run.dir={tmp_path / 'interrupted'}", f"data.loader_workers={workers}"]
    assert nmt("train", *again).status == 0
    assert nmt("train", *settings, f"run.dir={tmp_path / 'whole'}").status == 0
    _assert_same_run(tmp_path / "interrupted", tmp_path / "whole")


def test_a_longer_run_goes_on_and_is_then_finished(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, at_update: Callable[[int, int], None]
) -> None:
    run = f"run.dir={tmp_path / 'run'}"
    at_update(2, signal.SIGINT)
    assert nmt("train", *settings, run).status == 75
    for said in ("going on after update 2", ""):
        result = nmt("train", *settings, run, "training.max_updates=9")
        assert result.status == 0, result.err
        assert said in result.err
    assert "is finished" in result.out
    assert "max_updates: 9" in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["Trainer._validate", "Trainer._update", "_Run._score"])
def test_a_killed_run_goes_on_to_the_same_end(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, moment: str
) -> None:
    settings = [*settings, "training.threads=1"]  # sums in one order in both processes
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    code = f"""
import os, signal
from nmt.cli.main import main
from nmt.pipeline import _Run
from nmt.training.trainer import Trainer

before = {moment}
calls = []

def deadly(self, *arguments):
    calls.append(1)
    outcome = before(self, *arguments)
    if len(calls) == {5 if "update" in moment else 2}:
        os.kill(os.getpid(), signal.SIGKILL)
    return outcome

{moment} = deadly
main()
"""
    arguments = ["train", *settings, f"run.dir={killed}"]
    dead = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    result = nmt(*arguments)
    assert result.status == 0, result.err
    assert "going on after update" in result.err
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    _assert_same_run(killed, whole)
