"""A run that is killed at any moment, without cleaning up, ends like an uninterrupted one."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from subprocess import PIPE
from typing import Any

import pytest
import torch

from nmt.checkpoint import load_checkpoint
from nmt.reporting.metric_log import read_metrics

Kill = tuple[str, str, int, bool]
Train = Callable[[list[str], Path, Kill | None], int]

KILLS = 10  # of each model

# Runs commands one after another, each in a fork of a process that has imported everything. A fork
# may exit immediately before or after the n-th call of a function.
SERVER = """
import json, os, pathlib, signal, sys
import sacrebleu, torch, torch._dynamo
import nmt.sweeps.train_application, nmt.reporting.heatmaps.single_figure
from nmt.run import stages
from nmt.cli.main import main

def arm(owner, name, number, late):
    owner, calls = eval(owner), []
    whole = getattr(owner, name)

    def deadly(*arguments, **settings):
        calls.append(1)
        if len(calls) == number and not late:
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = whole(*arguments, **settings)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome

    setattr(owner, name, deadly)

for line in sys.stdin:
    arguments, kill, log = json.loads(line)
    process = os.fork()
    if process == 0:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1), os.dup2(file, 2)
        if kill is not None:
            arm(*kill)
        sys.argv = ["nmt", *arguments]
        main()
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""
PLACES = {  # a moment of each kind, and the maximum number of earlier calls
    "a step": [("torch.Tensor", "backward", 7)],
    "a validation": [
        ("stages", "evaluate_model", 2),
        ("sacrebleu.metrics.bleu.BLEU", "corpus_score", 2),
    ],
    # Two of each come before training: the settings are written in the same way.
    "a write": [("os", "fsync", 14), ("os", "replace", 7), ("os", "link", 3)],
    "a removal": [("pathlib.Path", "unlink", 6)],
}
SETTINGS = [
    *("training.max_updates=16", "training.validate_every=4", "training.save_every=2"),
    *("training.threads=1", "training.batch_tokens=96", "training.ema_decay=0.9"),
    *("training.keep_best=2", "training.best_metric=perplexity", "schedule=inverse_sqrt"),
    *("tokenizer.sampling=0.3", "tokenizer.normalization=identity", "decoding.beam_size=1"),
    *("logging.samples=0", "logging.log_every=1", "logging.tensorboard=false"),
]
RNN = ["model.encoder.dropout=0.2", "model.decoder.dropout=0.2"]
SIZES = [
    *("hidden_size=16", "feed_forward_size=32", "num_heads=2", "num_layers=1"),
    *("dropout=0.2", "attention_dropout=0.2", "feed_forward_dropout=0.2"),
]
TRANSFORMER = [
    "model=transformer",
    *(f"model.{side}.{size}" for side in ("encoder", "decoder") for size in SIZES),
]


@pytest.fixture
def train(tmp_path: Path) -> Iterator[Train]:
    """Trains in a process that may be killed, and returns how it ended."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=PIPE, stdout=PIPE, text=True, bufsize=1
    )
    assert server.stdin is not None
    assert server.stdout is not None
    log = tmp_path / "log"

    def run(settings: list[str], folder: Path, kill: Kill | None) -> int:
        arguments = ["train", *settings, f"run.dir={folder}"]
        server.stdin.write(json.dumps([arguments, kill, str(log)]) + "\n")
        status = int(server.stdout.readline())
        assert status in (0, -signal.SIGKILL), log.read_text()
        return status

    with server:
        yield run
        server.stdin.close()


def _end(run: Path) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Return all results of a run except its times."""
    files = {}
    for path in sorted((run / "checkpoints").iterdir()):
        checkpoint = load_checkpoint(path)
        training = dict(checkpoint.training or {})
        progress = training.pop("progress", {})
        took = ("seconds", "validation_seconds")
        training["progress"] = {key: v for key, v in progress.items() if key not in took}
        files[path.name] = dict(checkpoint.weights), training, checkpoint.update
    took = ("time", "train/tokens_per_second")
    rows = read_metrics(run / "metrics.jsonl")
    return files, [{key: v for key, v in row.items() if key not in took} for row in rows]


def _assert_same(found: Any, expected: Any, path: str) -> None:
    """Compare nested containers bit for bit."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key, value in expected.items():
            _assert_same(found[key], value, f"{path}/{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), path
        for index, value in enumerate(expected):
            _assert_same(found[index], value, f"{path}/{index}")
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), path
    else:
        assert found == expected, path


@pytest.mark.slow
@pytest.mark.parametrize("model", ["rnn", "transformer"])
def test_a_run_killed_at_random_moments_equals_an_uninterrupted_one(
    train: Train,
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    tmp_path: Path,
    model: str,
) -> None:
    sizes = tiny(corpus)
    if model == "transformer":
        sizes = [setting for setting in sizes if not setting.startswith("model")]
    settings = [*sizes, *(RNN if model == "rnn" else TRANSFORMER), *SETTINGS]
    assert train(settings, tmp_path / "whole", None) == 0
    expected, random, runs = _end(tmp_path / "whole"), Random(model), count()
    kinds = [*PLACES] * KILLS
    run, killed = tmp_path / f"run-{next(runs)}", 0
    while killed < KILLS:
        owner, name, most = random.choice(PLACES[kinds[killed]])
        kill = (owner, name, random.randint(1, most), random.random() < 0.5)
        if train(settings, run, kill) == 0:  # finished before that moment: use a new run
            _assert_same(_end(run), expected, run.name)
            run = tmp_path / f"run-{next(runs)}"
        else:
            killed += 1
    assert train(settings, run, None) == 0
    _assert_same(_end(run), expected, run.name)
