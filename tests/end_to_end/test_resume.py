"""The same command resumes an interrupted or killed run with the same result."""

import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nmt import pipeline
from nmt.checkpoint import load_checkpoint, sealed
from nmt.config.schema import RunConfig
from nmt.reporting.metric_log import read_metrics
from nmt.run.folder import RunFolder
from nmt.training.trainer import Trainer

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]

LONGER = [
    *("training.max_updates=8", "training.validate_every=3", "training.save_every=2"),
    *("logging.log_every=1", "training.batch_tokens=64", "logging.samples=0"),
    "decoding.beam_size=1",
]
MEMORIES = {  # the state to restore besides weights and optimizer
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


def _assert_same_run(one: Path, other: Path, names: Sequence[str] = ("last.pt", "best.pt")) -> None:
    for name in names:
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


def _curves(run: Path) -> dict[str, list[int]]:
    """Return the steps that TensorBoard displays."""
    events = EventAccumulator(str(run)).Reload()
    return {tag: [e.step for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("memory", "signal_number"),
    [
        ("average", signal.SIGINT),
        pytest.param("plateau", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("accumulation", signal.SIGUSR1, marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one(
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
        assert f"stopped after update {update}; run the same command to resume" in result.err
        assert not (interrupted / "summary.json").exists()
    result = nmt("train", *settings, f"run.dir={interrupted}")
    assert result.status == 0, result.err
    assert "resuming after update 4" in result.err
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    _assert_same_run(interrupted, whole)


def test_a_second_interruption_ends_the_run_immediately_and_it_resumes(
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


def test_repeated_warnings_of_a_scheduler_stop_the_run_only_once(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Trainer._update

    def warned(self: Trainer, batches: Any) -> None:
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
        whole(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", warned)
        result = nmt("train", *settings, f"run.dir={tmp_path / 'run'}")
    assert result.status == 75, result.err
    assert result.err.count("stopping after this update") == 1
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").update == 1


@pytest.mark.parametrize(
    "damage",
    ["flipped", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("truncated", "gone"))],
)
def test_a_damaged_checkpoint_is_named_and_the_previous_one_is_used(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    at_update: Callable[[int, int], None],
    damage: str,
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    at_update(5, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={run}").status == 75
    last = run / "checkpoints" / "last.pt"
    match damage:
        case "truncated":
            os.truncate(last, last.stat().st_size // 2)
        case "flipped":
            _flip_a_bit(last)
        case "gone":
            last.unlink()
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 0, result.err
    assert result.err.count(f"warning: {last} is") == (damage != "gone"), result.err
    assert "resuming after update 4" in result.err  # update 5, where it stopped, is lost
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    _assert_same_run(run, whole)
    assert _curves(run) == _curves(whole)
    files = {path.name for path in (run / "checkpoints").iterdir()}
    assert files == {"last.pt", "update-6.pt", "best.pt"}


def _reseal(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the content of a checkpoint, whose checksum is then correct."""
    content = torch.load(file, weights_only=True)
    change(content)
    file.write_bytes(sealed(content))


def _broken_step(content: dict[str, Any]) -> None:
    content["training"]["optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)


def _broken_progress(content: dict[str, Any]) -> None:
    content["training"]["progress"] |= {"text": 5, "precision": [], "epoch": -1}


def _broken_random(content: dict[str, Any]) -> None:
    content["training"]["random"] = {"cpu": torch.full((5056,), 255, dtype=torch.uint8)}


def _broken_weights(content: dict[str, Any]) -> None:
    content["model"]["output.weight"].fill_(math.nan)


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (_broken_step, "optimizer.state[0].exp_avg has the shape [3]"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (_broken_progress, "progress.epoch is -1"),
                (_broken_random, "random.cpu is not a state"),
                (_broken_weights, "weight has values that are not finite"),
            )
        ),
    ],
)
def test_a_checkpoint_with_an_impossible_state_is_named_and_the_previous_one_is_used(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    at_update: Callable[[int, int], None],
    change: Callable[[dict[str, Any]], None],
    entry: str,
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    at_update(5, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={run}").status == 75
    shutil.copytree(run, tmp_path / "none intact")
    last = run / "checkpoints" / "last.pt"
    _reseal(last, change)
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 0, result.err
    (line,) = (line for line in result.err.splitlines() if f"warning: {last} is" in line)
    assert entry in line
    assert "resuming after update 4" in result.err
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    _assert_same_run(run, whole)

    folder = tmp_path / "none intact" / "checkpoints"
    for name in ("last.pt", "update-4.pt"):
        _reseal(folder / name, change)
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    result = nmt("train", *settings, f"run.dir={folder.parent}")
    assert result.status == 2
    assert "Traceback" not in result.err
    (line,) = (line for line in result.err.splitlines() if line.startswith("nmt: "))
    assert f"{folder} has no intact checkpoint; nothing was changed" in line
    assert result.err.count(entry) == 2
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.slow
def test_a_best_model_without_a_score_is_named(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, at_update: Callable[[int, int], None]
) -> None:
    settings = [*settings, "training.keep_best=2"]
    run = tmp_path / "run"
    at_update(5, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={run}").status == 75
    best = run / "checkpoints" / "best.pt"
    _reseal(best, lambda content: content.update(metrics={"bleu": "text"}))
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 0, result.err
    assert f"warning: {best} has no score bleu" in result.err


def test_a_run_without_intact_checkpoints_is_unchanged(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, at_update: Callable[[int, int], None]
) -> None:
    run = tmp_path / "run"
    at_update(5, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={run}").status == 75
    folder = run / "checkpoints"
    copy = (folder / "last.pt").read_bytes()
    for name in ("last.pt", "update-4.pt"):
        _flip_a_bit(folder / name)
    kept = {path: path.read_bytes() for path in (*folder.iterdir(), run / "metrics.jsonl")}
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 2
    message = result.err.splitlines()[-1]
    assert message.startswith(f"nmt: {folder} has no intact checkpoint; nothing was")
    assert "remove last.pt, update-4.pt to start from scratch" in message
    assert {path: path.read_bytes() for path in kept} == kept
    (folder / "last.pt").write_bytes(copy)  # the remedy
    assert nmt("train", *settings, f"run.dir={run}").status == 0


@pytest.mark.slow
def test_a_checkpoint_without_training_state_cannot_be_resumed(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, at_update: Callable[[int, int], None]
) -> None:
    run = tmp_path / "run"
    at_update(3, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={run}").status == 75
    folder = run / "checkpoints"
    shutil.copy(folder / "best.pt", folder / "last.pt")
    (folder / "update-2.pt").unlink()
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 2
    assert f"{folder / 'last.pt'} contains a model without training state" in result.err


def test_a_run_resumes_from_a_checkpoint_of_format_1(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the settings in it name files of the folder `corpus`
    assert corpus == tmp_path / "corpus"
    file = Path(__file__).parents[1] / "data_files" / "checkpoint-v1.pt"  # see test_checkpoint.py
    first = load_checkpoint(file)
    for name in ("whole", "run"):  # both resume from it, one with a stop, and end the same
        folder = RunFolder(tmp_path / name)
        folder.create(first.config, "")
        shutil.copy(file, folder.last)
        config = replace(first.config, run=RunConfig(dir=str(folder.path)))

        def at_3(metrics: Path = folder.metrics) -> bool:
            return metrics.exists() and any(row["step"] == 3 for row in read_metrics(metrics))

        outcome = pipeline.train(config, "", at_3 if name == "run" else lambda: False)
        assert (outcome.summary is None) == (name == "run")
    assert pipeline.train(config, "", lambda: False).summary is not None
    assert load_checkpoint(folder.last).update == 4
    _assert_same_run(tmp_path / "run", tmp_path / "whole", ("last.pt",))  # best.pt is not there


def test_a_resumed_run_keeps_the_same_best_models(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, at_update: Callable[[int, int], None]
) -> None:
    settings = [*settings, "training.keep_best=2", "training.keep_every=3"]
    settings += ["training.validate_every=1", "training.best_metric=perplexity"]
    run, whole = tmp_path / "run", tmp_path / "whole"
    at_update(5, signal.SIGINT)
    for path, statuses in ((run, (75, 0)), (whole, (0,))):
        for status in statuses:
            result = nmt("train", *settings, f"run.dir={path}")
            assert result.status == status, result.err
    names = [sorted(path.name for path in (p / "checkpoints").iterdir()) for p in (run, whole)]
    assert names[0] == names[1]
    assert {"last.pt", "best.pt", "update-3.pt", "update-6.pt"} < set(names[0])
    (second,) = (name for name in names[0] if name.startswith("best-update-"))
    best, runner_up = (load_checkpoint(run / "checkpoints" / n) for n in ("best.pt", second))
    assert runner_up.update == int(second.removeprefix("best-update-").removesuffix(".pt"))
    rows = [row for row in read_metrics(run / "metrics.jsonl") if "valid/perplexity" in row]
    ranked = sorted(rows, key=lambda row: (row["valid/perplexity"], row["step"]))
    assert [best.update, runner_up.update] == [row["step"] for row in ranked[:2]]


@pytest.mark.slow
def test_a_full_disk_stops_the_run_and_the_same_command_resumes_it(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, at_update: Callable[[int, int], None]
) -> None:
    settings = [*settings, "training.threads=1", "training.save_every=1"]
    full, whole = tmp_path / "full", tmp_path / "whole"
    at_update(3, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={full}").status == 75
    last = full / "checkpoints" / "last.pt"
    before = last.read_bytes()
    room = len(before) - 1000  # for everything except that
    code = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({room}, {room}))"
    code += "\nfrom nmt.cli.main import main; main()"
    arguments = ["train", *settings, f"run.dir={full}"]
    stopped = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300
    )
    assert stopped.returncode == 2, stopped.stderr
    assert stopped.stderr.splitlines()[-1].startswith(f"nmt: cannot write the checkpoint {last}")
    assert "free some space" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert last.read_bytes() == before
    result = nmt(*arguments)
    assert result.status == 0, result.err
    assert "resuming after update 3" in result.err
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    _assert_same_run(full, whole)


def test_a_run_does_not_resume_with_different_pieces(
    nmt: Nmt,
    settings: Sequence[str],
    corpus: Path,
    tmp_path: Path,
    at_update: Callable[[int, int], None],
) -> None:
    """Changed text gives a different tokenizer, whose ids do not fit the weights."""
    at_update(2, signal.SIGINT)
    assert nmt("train", *settings, f"run.dir={tmp_path / 'run'}").status == 75
    for language, word, other in (("en", "seven", "zork"), ("de", "sieben", "quark")):
        path = corpus / f"train.{language}"
        path.write_text(path.read_text().replace(word, other))
    result = nmt("train", *settings, f"run.dir={tmp_path / 'run'}")
    assert result.status == 2, result.err
    assert "nmt: the text has changed since" in result.err


@pytest.mark.parametrize("workers", [0, 2])
def test_sampled_segmentations_are_the_same_after_an_interruption(
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


def test_an_unfinished_run_resumes_with_a_higher_limit(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, at_update: Callable[[int, int], None]
) -> None:
    run = f"run.dir={tmp_path / 'run'}"
    at_update(2, signal.SIGINT)
    assert nmt("train", *settings, run).status == 75
    for said in ("resuming after update 2", ""):
        result = nmt("train", *settings, run, "training.max_updates=9")
        assert result.status == 0, result.err
        assert said in result.err
    assert "is finished" in result.out
    assert "max_updates: 9" in (tmp_path / "run" / "config.yaml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["Trainer._validate", "Trainer._update", "FinalTest._score"])
def test_a_killed_run_resumes_to_the_same_result(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, moment: str
) -> None:
    settings = [*settings, "training.threads=1"]  # the same order of sums in both processes
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    code = f"""
import os, signal
from nmt.cli.main import main
from nmt.run.final_test import FinalTest
from nmt.run.folder import RunFolder
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
    assert "resuming after update" in result.err
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    _assert_same_run(killed, whole)
