"""`nmt train` on a tiny corpus: the files of a run, and how it ends and resumes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nmt.kernels import dispatch
from nmt.reporting.metric_log import read_metrics

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]

TRANSFORMER = [
    *("model=transformer", "model.encoder.hidden_size=16", "model.decoder.hidden_size=16"),
    *("model.encoder.feed_forward_size=16", "model.decoder.feed_forward_size=16"),
]


@pytest.fixture
def train(nmt: Nmt, corpus: Path, tiny: Tiny, tmp_path: Path) -> Nmt:
    """Train with overrides into the folder `run`; return how the command ended."""

    def call(*overrides: str) -> Any:
        settings = [o for o in tiny(corpus) if not _replaced(o, overrides)]
        return nmt("train", *settings, f"run.dir={tmp_path / 'run'}", *overrides)

    return call


def _replaced(setting: str, overrides: tuple[str, ...]) -> bool:
    if setting.startswith("model.decoder.attention") or setting.endswith("embedding_size=16"):
        return any(o.startswith(("model=", "model/")) for o in overrides)
    if setting == "model=rnn":
        return any(o.startswith("model=") for o in overrides)
    return setting.partition("=")[0] in {o.partition("=")[0] for o in overrides}


def _snapshot(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("overrides", "name", "drawn"),
    [
        (["model=rnn", "model/decoder/attention=luong_general"], "luong_general", True),
        (["model=rnn", "model/decoder/attention=none"], "attention none", False),
        (TRANSFORMER, "transformer", True),
    ],
)
def test_a_run_writes_all_its_files(
    train: Nmt, tmp_path: Path, overrides: list[str], name: str, drawn: bool
) -> None:
    if overrides is not TRANSFORMER:
        sizes = [f"model.{part}.embedding_size=16" for part in ("encoder", "decoder")]
        overrides = [*overrides, *sizes]
    wanted = ["training.max_updates=4", "training.validate_every=2", "logging.log_every=1"]
    wanted += ["logging.samples=1"]
    result = train(*overrides, *wanted)
    assert result.status == 0, result.err
    folder = tmp_path / "run"
    assert str(folder) in result.out

    summary = json.loads((folder / "summary.json").read_text())
    assert name in summary["model"]
    assert (summary["updates"], summary["stopped_by"]) == (4, "max_updates")
    assert summary["seconds"] > 0
    assert summary["parameters"] > 1000
    for split in ("valid", "test"):
        for score in ("bleu", "chrf", "ter"):
            assert summary[split][score] >= 0
        assert summary[split]["perplexity"] > 1
        assert "tok:13a" in summary[split]["signature"]
        assert "version" in summary[split]["chrf_signature"]
    assert f"test BLEU {summary['test']['bleu']:.2f}" in result.out

    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
        "best.pt",
        "last.pt",
    ]
    assert list(folder.glob("events.*")), "TensorBoard shows the name of the run folder"
    pictures = list((folder / "attention").glob("*.png")) if drawn else []
    assert len(pictures) == drawn
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert len((folder / "test.translations.txt").read_text().split("\n")) == 5 + 1

    metrics = read_metrics(folder / "metrics.jsonl")
    assert [row["step"] for row in metrics if "train/loss" in row] == [1, 2, 3, 4]
    assert [row["step"] for row in metrics if "valid/bleu" in row] == [2, 4]
    log = (folder / "train.log").read_text()
    assert "update 4  validation" in log
    assert str(folder) in log

    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config == json.loads((folder / "config.json").read_text())
    assert config["training"]["max_updates"] == 4


def test_a_finished_run_is_reported_and_unchanged(train: Nmt, tmp_path: Path) -> None:
    first = train()
    before = _snapshot(tmp_path)
    second = train()
    assert second.status == 0
    assert "is finished; nothing was changed, and its text was not read again" in second.out
    assert f"training.init_from={tmp_path}" in second.out.replace("\n", " ")
    assert second.err == ""
    assert [line for line in second.out.splitlines() if "BLEU" in line] == [
        line for line in first.out.splitlines() if "BLEU" in line
    ]
    assert _snapshot(tmp_path) == before


def test_the_same_command_gives_the_same_model(train: Nmt, tmp_path: Path) -> None:
    weights = []
    for name in ("first", "second"):
        assert train(f"run.dir={tmp_path / name}").status == 0
        weights.append(torch.load(tmp_path / name / "checkpoints" / "last.pt")["model"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize(("encoder", "decoder"), [("transformer", "rnn"), ("rnn", "transformer")])
def test_any_encoder_trains_with_any_decoder(
    train: Nmt, tmp_path: Path, encoder: str, decoder: str
) -> None:
    choices = [f"model/encoder={encoder}", f"model/decoder={decoder}"]
    rnn = "encoder" if encoder == "rnn" else "decoder"
    sizes = [f"model.{rnn}.embedding_size=16", "training.accumulation=2"]
    result = train(*choices, *sizes)
    assert result.status == 0, result.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["model"].startswith(f"{encoder} to {decoder}")


def test_a_run_without_a_test_reports_on_validation(train: Nmt, tmp_path: Path) -> None:
    result = train("data.test=null")
    assert result.status == 0, result.err
    assert "valid BLEU" in result.out
    assert "test" not in json.loads((tmp_path / "run" / "summary.json").read_text())


def test_files_that_are_switched_off_are_not_written(train: Nmt, tmp_path: Path) -> None:
    assert train("logging.tensorboard=false", "logging.samples=0").status == 0
    assert not list((tmp_path / "run").rglob("events.*"))
    assert not list((tmp_path / "run").rglob("*.png"))


@pytest.mark.parametrize(
    ("overrides", "reason", "updates"),
    [
        (["training.max_minutes=0.00001"], "max_minutes", 1),
        (["training.patience=1", "training.validate_every=1"], "patience", 2),
    ],
)
def test_a_run_stops_early_for_a_reason_and_is_finished(
    train: Nmt, tmp_path: Path, overrides: list[str], reason: str, updates: int
) -> None:
    endless = ["training.max_updates=1000", "optimizer.learning_rate=1e-20"]
    result = train(*endless, *overrides, "schedule.warmup=10")
    assert result.status == 0, result.err
    warned = f"training.{reason} ended the run in its warm-up, at update {updates} of"
    assert warned in result.out + result.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["stopped_by"], summary["updates"]) == (reason, updates)
    again = train(*endless, *overrides, "schedule.warmup=10")
    assert "is finished" in again.out


def test_a_run_that_ends_after_its_warmup_has_no_warning(train: Nmt) -> None:
    result = train("training.max_updates=1000", "training.max_minutes=0.00001", "schedule.warmup=1")
    assert "ended the run in its warm-up" not in result.out + result.err


def test_a_diverged_model_is_reported_with_the_remedy(train: Nmt, tmp_path: Path) -> None:
    result = train("optimizer.learning_rate=1e38", "schedule=constant", "schedule.warmup=0")
    assert result.status == 2
    assert result.err.count("\nnmt: ") == 1
    assert "optimizer.learning_rate" in result.err
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_damaged_log_of_an_unfinished_run_is_named(train: Nmt, tmp_path: Path) -> None:
    assert train().status == 0
    (tmp_path / "run" / "summary.json").unlink()
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_text("junk\njunk\n")
    result = train()
    assert result.status == 2
    assert f"nmt: {metrics}, line 1" in result.err


def test_a_sweep_makes_one_run_per_job(train: Nmt, tmp_path: Path) -> None:
    result = train("-m", "seed=1,2", f"run.dir={tmp_path}/run-${{seed}}")
    assert result.status == 0, result.err
    weights = []
    for seed in (1, 2):
        folder = tmp_path / f"run-{seed}"
        assert json.loads((folder / "summary.json").read_text())["seed"] == seed
        weights.append(torch.load(folder / "checkpoints" / "last.pt")["model"])
    assert not torch.equal(weights[0]["output.weight"], weights[1]["output.weight"])


def test_a_job_that_fails_leaves_the_others_running(train: Nmt, tmp_path: Path) -> None:
    result = train("-m", "seed=-1,2", f"run.dir={tmp_path}/run-${{seed}}")
    assert result.status == 2
    assert "nmt: seed is -1" in result.err
    assert not (tmp_path / "run--1").exists()
    assert (tmp_path / "run-2" / "summary.json").exists()


def test_training_kernels_switches_the_fast_paths_off(
    corpus: Path, tiny: Callable[[Path], list[str]], nmt: Nmt, tmp_path: Path
) -> None:
    """Without dropout, whose draws differ, both runs have the same losses up to rounding."""
    losses = {}
    exact = [f"model.{side}.dropout=0" for side in ("encoder", "decoder")]
    try:
        for choice in ("auto", "plain"):
            folder = tmp_path / choice
            settings = [*tiny(corpus), *exact, "logging.log_every=1", f"training.kernels={choice}"]
            result = nmt("train", *settings, f"run.dir={folder}")
            assert result.status == 0, result.err
            rows = read_metrics(folder / "metrics.jsonl")
            losses[choice] = [row["train/loss"] for row in rows if "train/loss" in row]
            path = dispatch.linear_path(torch.zeros(1, requires_grad=True))
            assert (path is dispatch.KernelPath.PLAIN) == (choice == "plain")
    finally:
        dispatch.set_kernels("auto")
    assert losses["plain"] == pytest.approx(losses["auto"], rel=1e-5)
