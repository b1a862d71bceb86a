"""A sweep whose processes are all killed continues when the same command is repeated."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Summaries = dict[Path, tuple[bytes, int]]
SHORT = [
    *("training.max_updates=5", "training.save_every=1", "training.validate_every=5"),
    *("training.threads=1", "logging.tensorboard=false", "logging.samples=0"),
]
STUDY = [
    *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=8", "hydra.sweeper.n_startup_trials=4"),
    "optimizer.learning_rate=tag(log, interval(0.001, 0.1))",
    "model.encoder.dropout=interval(0.0, 0.4)",
]


@pytest.fixture
def command(corpus: Path, tiny: Callable[[Path], list[str]]) -> list[str]:
    """The command of a sweep over tiny models, without the swept settings."""
    return [sys.executable, "-m", "nmt", "train", "-m", *tiny(corpus), *SHORT]


def kill(command: list[str], root: Path, finished: int) -> Summaries:
    """Start a sweep, kill it after ``finished`` jobs, and return the summaries it left."""
    process = subprocess.Popen(
        command, cwd=root, start_new_session=True, stdout=DEVNULL, stderr=PIPE, text=True
    )
    while not _within_a_job(root, finished):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    left = summaries(root)
    assert len(left) == finished
    return left


def _within_a_job(root: Path, finished: int) -> bool:
    """Whether this number of jobs is finished and the next one has saved its first checkpoint."""
    folders = {path.parents[1] for path in root.glob("runs/*/checkpoints/last.pt")}
    return len(folders) > finished and len(summaries(root)) == finished


def summaries(root: Path) -> Summaries:
    files = root.glob("runs/*/summary.json")
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def rows(folder: Path) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = json.loads((folder / "table.json").read_text())["rows"]
    return written


def was_resumed(root: Path, row: dict[str, Any]) -> bool:
    log = (root / row["folder"] / "train.log").read_text(encoding="utf-8")
    return "resuming after update" in log


def test_a_plain_sweep_continues(command: list[str], tmp_path: Path) -> None:
    command.append("seed=1,2,3")
    before = kill(command, tmp_path, finished=1)
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("is finished; nothing was changed") == 1
    (folder,) = (tmp_path / "runs" / "sweeps").iterdir()
    table = rows(folder)
    assert [row["status"] for row in table] == ["finished"] * 3
    assert [was_resumed(tmp_path, row) for row in table] == [False, True, False]
    assert before.items() <= summaries(tmp_path).items()


@pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="Optuna is not installed: nmt[optuna]"
)
def test_a_study_continues(command: list[str], tmp_path: Path) -> None:
    import optuna

    def trials(folder: Path) -> list[Any]:
        storage = f"sqlite:///{folder / 'study.db'}"
        return optuna.load_study(study_name="nmt", storage=storage).trials

    command.extend(STUDY)
    before = kill(command, tmp_path, finished=3)
    (folder,) = (tmp_path / "runs" / "sweeps").iterdir()
    assert [trial.state.name for trial in trials(folder)] == ["COMPLETE"] * 3 + ["RUNNING"]
    drawn = trials(folder)[3].params

    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert list((tmp_path / "runs" / "sweeps").iterdir()) == [folder]
    found = trials(folder)
    assert [trial.state.name for trial in found] == ["COMPLETE"] * 8
    assert found[3].params == drawn
    assert before.items() <= summaries(tmp_path).items()
    table = rows(folder)
    assert sorted(row["trial"] for row in table) == list(range(8))
    assert len({row["folder"] for row in table}) == 8
    assert [row["trial"] for row in table if was_resumed(tmp_path, row)] == [3]
    best = max(found, key=lambda trial: trial.value)
    assert table[0]["score"] == best.value
    assert f": validation bleu {best.value:.2f}\n" in again.stdout
