"""Sweeps with joblib, Ray and Slurm give the same runs as sweeps in one process."""

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.reporting.metric_log import read_metrics
from nmt.sweeps import launchers

Tiny = Callable[[Path], list[str]]
Sweep = Callable[..., Path]
Runs = dict[int, Path]

TIMES = ("time", "train/tokens_per_second")
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # otherwise all other processes take precedence over its workers
}
SLURM = ("hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1")
LONG = (
    *("seed=1", "training.max_updates=300", "training.validate_every=300"),
    *("training.save_every=20", "training.keep_last=1"),
)


def _missing(package: str) -> bool:
    return find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.{package}") is None


def _slurm_answers() -> bool:
    if shutil.which("sinfo") is None:
        return False
    command = ["sinfo", "--noheader", "--format", "%T"]
    with suppress(subprocess.TimeoutExpired):
        states = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout
        return states.startswith(("idle", "mixed", "allocated"))
    return False


needs_joblib = pytest.mark.skipif(
    _missing("hydra_joblib_launcher"), reason="no joblib: pip install 'nmt[joblib]'"
)
needs_ray = pytest.mark.skipif(
    _missing("hydra_ray_launcher"), reason="no Ray: pip install 'nmt[ray]'"
)
needs_submitit = pytest.mark.skipif(
    _missing("hydra_submitit_launcher"), reason="no submitit: pip install 'nmt[slurm]'"
)
needs_slurm = pytest.mark.skipif(
    not _slurm_answers(), reason="no Slurm answers: scripts/slurm install && scripts/slurm start"
)


@pytest.fixture(scope="module")
def settings(corpus_of_all: Path, tiny: Tiny) -> list[str]:
    return [
        *tiny(corpus_of_all),
        *("training.max_updates=6", "training.validate_every=3", "training.save_every=2"),
        *("logging.log_every=1", "training.batch_tokens=64", "logging.samples=1"),
        *("model.encoder.dropout=0.2", "training.threads=1"),
    ]


@pytest.fixture(scope="module")
def sweep(settings: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Sweep tiny models with relative run folders in a new folder, and return it."""

    def call(*more: str, folder: Path | None = None) -> Path:
        folder = folder or tmp_path_factory.mktemp("sweep")
        command = [sys.executable, "-m", "nmt", "train", "-m", *settings]
        ended = subprocess.run(
            [*command, "hydra.sweep.dir=table", *more],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=folder,
            env=os.environ | ENVIRONMENT,
        )
        assert ended.returncode == 0, ended.stderr
        assert "sweep folder table" in ended.stdout, ended.stdout + ended.stderr
        return folder

    return call


@pytest.fixture(scope="module")
def plain(sweep: Sweep) -> Runs:
    """The runs of two seeds, made one after another in one process."""
    return runs(sweep("seed=1,2"))


def runs(folder: Path) -> Runs:
    """Return the finished runs of a sweep by their seeds."""
    rows = json.loads((folder / "table" / "table.json").read_text())["rows"]
    return {int(row["overrides"]["seed"]): folder / row["folder"] for row in rows}


def assert_same(one: Runs, other: Runs) -> None:
    assert one.keys() == other.keys()
    for seed, run in one.items():
        first, second = (torch.load(r / "checkpoints" / "last.pt") for r in (run, other[seed]))
        for key, weight in first["model"].items():
            assert torch.equal(weight, second["model"][key]), key
        logs = [read_metrics(r / "metrics.jsonl") for r in (run, other[seed])]
        plain = [[{k: v for k, v in row.items() if k not in TIMES} for row in log] for log in logs]
        assert plain[0] == plain[1]
        assert plain[0]


@pytest.mark.parametrize(
    ("launcher", "extra"), [("submitit_slurm", "slurm"), ("ray", "ray"), ("joblib", "joblib")]
)
def test_a_launcher_that_is_not_installed_names_the_extra(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, launcher: str, extra: str
) -> None:
    monkeypatch.setattr(launchers, "find_spec", lambda name: None)
    message = refused("train", "-m", f"hydra/launcher={launcher}", "seed=1,2")
    assert f"pip install 'nmt[{extra}]'" in message


@pytest.mark.slow
@needs_joblib
def test_joblib_gives_the_same_runs(sweep: Sweep, plain: Runs) -> None:
    assert_same(plain, runs(sweep("seed=1,2", "hydra/launcher=joblib")))


@pytest.fixture
def ray_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Ray cluster with two processors in another folder, and stop it afterwards."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    host = importlib.import_module("ray.util").get_node_ip_address()
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    options = [f"--port={port}", "--num-cpus=2", "--include-dashboard=false"]
    head = subprocess.Popen(
        [*command, *options, "--object-store-memory=100000000"],
        cwd=elsewhere,
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(lambda: _listens(host, port) or head.poll() is not None, 120)
        yield f"{host}:{port}"
    finally:
        head.terminate()
        head.wait(60)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex((host, port)) == 0


def _wait_for(condition: Callable[[], Any], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not become true in time"
        time.sleep(0.05)


@pytest.mark.slow
@needs_ray
def test_ray_gives_the_same_runs_in_the_folder_of_the_sweep(
    sweep: Sweep, plain: Runs, ray_head: str
) -> None:
    address = f"hydra.launcher.ray.init.address='{ray_head}'"
    assert_same(plain, runs(sweep("seed=1,2", "hydra/launcher=ray", address)))


@pytest.mark.slow
@needs_submitit
@needs_slurm
def test_slurm_gives_the_same_runs(sweep: Sweep, plain: Runs) -> None:
    assert_same(plain, runs(sweep("seed=1,2", *SLURM)))


@pytest.fixture(scope="module")
def long_plain(sweep: Sweep) -> Runs:
    """An uninterrupted run that is long enough to be interrupted elsewhere."""
    return runs(sweep(*LONG))


def _slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.slow
@needs_submitit
@needs_slurm
@pytest.mark.parametrize("way", ["warned", "requeued"])
def test_a_job_interrupted_by_slurm_is_requeued_and_resumes_to_the_same_result(
    sweep: Sweep, long_plain: Runs, tmp_path: Path, way: str
) -> None:
    name = f"nmt-{os.getpid()}-{way}"
    interrupting = subprocess.Popen([sys.executable, "-c", _INTERRUPT, str(tmp_path), name, way])
    sweep(*LONG, *SLURM, f"hydra.launcher.name={name}", folder=tmp_path)
    assert interrupting.wait(10) == 0
    output = "".join(file.read_text() for file in (tmp_path / "table/.submitit").glob("*/*log.*"))
    assert "resuming after update" in output, output
    assert_same(long_plain, runs(tmp_path))


_INTERRUPT = """
import subprocess, sys, time
from pathlib import Path

folder, name, way = sys.argv[1:]
while not list(Path(folder).glob("runs/*/checkpoints/last.pt")):
    time.sleep(0.02)
listed = ["squeue", "--noheader", "--array", "--name", name, "--format", "%i"]
job = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.strip()
command = ["scancel", "--signal=USR1", job] if way == "warned" else ["scontrol", "requeue", job]
subprocess.run(command, check=True)
"""


@pytest.mark.slow
@needs_submitit
@needs_slurm
def test_a_canceled_job_is_not_requeued(settings: Sequence[str], tmp_path: Path) -> None:
    name = f"nmt-{os.getpid()}-cancelled"
    more = ("seed=1", "training.max_updates=100000", "training.validate_every=100000")
    launching = subprocess.Popen(
        [sys.executable, "-m", "nmt", "train", "-m", *settings, *more, *SLURM]
        + ["hydra.sweep.dir=table", f"hydra.launcher.name={name}"],
        cwd=tmp_path,
        env=os.environ | ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    listed = ("squeue", "--noheader", "--array", "--name", name, "--format", "%i")
    try:
        _wait_for(lambda: list(tmp_path.glob("runs/*/checkpoints/last.pt")), 100)
        _slurm("scancel", _slurm(*listed).strip())
        _wait_for(lambda: not _slurm(*listed).strip(), 60)
        time.sleep(7)  # a requeued job starts again after about five seconds
        assert not _slurm(*listed).strip()
    finally:
        launching.kill()
        launching.wait()
    output = "".join(file.read_text() for file in (tmp_path / "table/.submitit").glob("*/*log.*"))
    assert "stopped after update" in output, output


@pytest.mark.slow
@needs_slurm
def test_srun_starts_the_processes_of_one_training(settings: Sequence[str], tmp_path: Path) -> None:
    host = importlib.import_module("ray.util").get_node_ip_address()
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    train = " ".join(f"'{word}'" for word in [*settings, "run.dir=run"])
    script = tmp_path / "job.sh"
    script.write_text(f"""#!/bin/bash
#SBATCH --ntasks=2 --cpus-per-task=1 --output=output.txt
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT={port} WORLD_SIZE=$SLURM_NTASKS
srun bash -c 'RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID exec "$@"' - \\
    {sys.executable} -m nmt train {train}
""")
    ended = subprocess.run(
        ["sbatch", "--wait", str(script)],
        cwd=tmp_path,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    output = (tmp_path / "output.txt").read_text()
    assert ended.returncode == 0, output
    assert output.count("test BLEU") == 1
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["updates"] == 6
