"""Fine-tuning, distillation and averaging through the command, from one run to the next."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.checkpoint import load_checkpoint, sealed
from nmt.reporting.console import Console
from nmt.training.trainer import Trainer

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(corpus: Path, tiny: Tiny) -> list[str]:
    return [*tiny(corpus), "logging.samples=0", "decoding.beam_size=1", "training.batch_tokens=64"]


@pytest.fixture
def train(nmt: Nmt, settings: list[str]) -> Callable[..., Any]:
    """Train a run, which must succeed."""

    def call(folder: Path, *overrides: str) -> Any:
        result = nmt("train", *settings, f"run.dir={folder}", *overrides)
        assert result.status == 0, result.err
        return result

    return call


def weights(run: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(run / "checkpoints" / name).weights)


def test_a_run_starts_from_another_run_with_its_tokenizers(
    run: Path, train: Callable[..., Any], tmp_path: Path
) -> None:
    with_rate = ("training.max_updates=1", "optimizer.learning_rate=1e-12")
    new = tmp_path / "new"
    result = train(new, f"training.init_from={run}", *with_rate)
    assert "reused, 0 new" in result.err
    before, after = (load_checkpoint(folder / "checkpoints" / "best.pt") for folder in (run, new))
    one, other = before.tokenizers.source, after.tokenizers.source
    assert one.pieces(range(len(one))) == other.pieces(range(len(other)))
    assert one.encode("one two three") == other.encode("one two three")
    for name, weight in before.weights.items():
        torch.testing.assert_close(after.weights[name], weight, rtol=0, atol=1e-9)


def test_a_new_vocabulary_copies_the_shared_pieces(
    run: Path, nmt: Nmt, settings: list[str], train: Callable[..., Any], tmp_path: Path
) -> None:
    new = (f"training.init_from={run}", "tokenizer.vocab_size=40")
    result = nmt("train", *settings, *new, f"run.dir={tmp_path / 'refused'}")
    assert result.status == 2
    assert "tokenizer.vocab_size is 40 here and 44 there" in result.err
    assert "training.init_vocabulary=new" in result.err
    assert not (tmp_path / "refused").exists()
    result = train(tmp_path / "new", *new, "training.init_vocabulary=new")
    assert "source pieces:" in result.err


def test_another_model_is_refused(run: Path, nmt: Nmt, settings: list[str], tmp_path: Path) -> None:
    result = nmt(
        "train",
        *settings,
        *("model.encoder.hidden_size=20", f"training.init_from={run}"),
        f"run.dir={tmp_path / 'new'}",
    )
    assert result.status == 2
    assert "model.encoder.hidden_size is 20 here and 16 there" in result.err.splitlines()[-1]


def _other_file(run: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write a checkpoint with another content, and return it."""
    content = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    change(content)
    (folder / "other.pt").write_bytes(sealed(content))
    return folder / "other.pt"


def _other_shape(content: dict[str, Any]) -> None:
    content["model"]["output.weight"] = torch.zeros(3)


def _gone_text(content: dict[str, Any]) -> None:
    content["config"]["data"]["train"]["source"] = "/no/such/file"


UNFIT = {  # what is wrong, and a part of the message
    "the settings": (
        ["training.init_from={run}", "model.encoder.hidden_size=20"],
        "model.encoder.hidden_size is 20 here and 16 there",
    ),
    "the weights": (["training.init_from={shape}"], "output.weight is [3]"),
    "no checkpoint": (
        ["training.init_from={text}", "training.init_vocabulary=new"],
        "is not a checkpoint of nmt",
    ),
    "no file": (
        ["training.init_from={run}/none", "training.init_vocabulary=new"],
        "there is no run or checkpoint",
    ),
    "the frozen part": (
        ["training.init_from={run}", "training.freeze=[nothing]"],
        "'nothing' matches no part of the model",
    ),
    "the text of the Fisher information": (
        ["training.init_from={gone}", "training.ewc=1"],
        "/no/such/file",
    ),
    "the weights of the teacher": (
        ["training.distillation.teacher={shape}"],
        "output.weight is [3]",
    ),
    "the pieces of the teacher": (
        [
            *("training.distillation.teacher={run}", "training.init_from={run}"),
            *("training.init_vocabulary=new", "tokenizer.vocab_size=40"),
        ],
        "different source pieces",
    ),
    "the attention of the teacher": (
        [
            *("training.distillation.teacher={run}", "training.distillation.attention_weight=1"),
            "training.distillation.attention_layer=7",
        ],
        "training.distillation.attention_layer is 7",
    ),
}


@pytest.mark.parametrize("what", list(UNFIT))
def test_a_model_that_does_not_fit_leaves_no_run_folder(
    run: Path, nmt: Nmt, settings: list[str], tmp_path: Path, what: str
) -> None:
    (tmp_path / "text.pt").write_text("no model")
    (tmp_path / "gone").mkdir()
    places = {
        "run": run,
        "shape": _other_file(run, tmp_path, _other_shape),
        "gone": _other_file(run, tmp_path / "gone", _gone_text),
        "text": tmp_path / "text.pt",
    }
    overrides, part = UNFIT[what]
    folder = tmp_path / "new"
    given = [override.format(**places) for override in overrides]
    result = nmt("train", *settings, *given, f"run.dir={folder}")
    assert result.status == 2
    line = result.err.splitlines()[-1]
    assert line.startswith("nmt: ")
    assert part in line
    assert not folder.exists()
    corrected = nmt("train", *settings, f"training.init_from={run}", f"run.dir={folder}")
    assert corrected.status == 0, corrected.err


@pytest.mark.parametrize("pull", ["l2_sp", "ewc"])
def test_a_penalty_keeps_weights_near_their_initial_values(
    run: Path, train: Callable[..., Any], tmp_path: Path, pull: str
) -> None:
    start = weights(run, "best.pt")
    distances = []
    for strength in (0, 100_000 if pull == "ewc" else 100):
        folder = tmp_path / str(strength)
        overrides = ("optimizer=sgd", "optimizer.learning_rate=0.01", "training.max_updates=20")
        train(folder, f"training.init_from={run}", f"training.{pull}={strength}", *overrides)
        end = weights(folder)
        distances.append(sum(float((end[n] - start[n]).square().sum()) for n in start))
    assert distances[1] < 0.9 * distances[0]


def test_a_resumed_run_does_not_need_the_run_it_started_from(
    run: Path,
    nmt: Nmt,
    settings: list[str],
    train: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = tmp_path / "old"
    shutil.copytree(run, old)
    overrides = [
        *(f"training.init_from={old}", "training.l2_sp=0.1", "training.ewc=1"),
        *("training.freeze=[encoder.embedding]", "training.max_updates=5"),
        *("model.encoder.word_dropout=0.2", "training.r_drop=1"),
    ]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(whole, *overrides)
    update = Trainer._update

    def interrupted(self: Trainer, batches: Any) -> None:
        if self.progress.update == 2:
            os.kill(os.getpid(), signal.SIGINT)
        update(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", interrupted)
        assert nmt("train", *settings, *overrides, f"run.dir={broken}").status == 75
    shutil.rmtree(old)
    train(broken, *overrides)
    one, other = weights(whole), weights(broken)
    assert all(torch.equal(one[name], other[name]) for name in one)
    frozen = "encoder.embedding.weight"
    assert torch.equal(one[frozen], weights(run, "best.pt")[frozen])


def test_a_student_of_another_kind_learns_from_a_teacher_of_the_same_pieces(
    run: Path, nmt: Nmt, settings: list[str], train: Callable[..., Any], tmp_path: Path
) -> None:
    taught = (f"training.distillation.teacher={run}", "training.distillation.attention_weight=1")
    result = train(tmp_path / "student", *taught, "model.encoder.num_layers=2")
    assert "learns from" in result.err
    rows = (tmp_path / "student" / "metrics.jsonl").read_text().splitlines()
    train(tmp_path / "logged", *taught, "logging.log_every=1", "training.r_drop=1")
    rows = (tmp_path / "logged" / "metrics.jsonl").read_text().splitlines()
    keys = {key for row in rows for key in json.loads(row)}
    losses = ("distillation_loss", "attention_distillation_loss", "r_drop_loss")
    assert {f"train/{name}" for name in losses} <= keys
    result = nmt(
        "train",
        *(*settings, *taught, f"training.init_from={run}", "training.init_vocabulary=new"),
        *("tokenizer.vocab_size=40", f"run.dir={tmp_path / 'refused'}"),
    )
    assert result.status == 2
    assert "different source pieces" in result.err.splitlines()[-1]


def test_a_student_also_learns_from_its_teachers_translations(
    run: Path, corpus: Path, nmt: Nmt, train: Callable[..., Any], tmp_path: Path
) -> None:
    source, taught = corpus / "train.en", tmp_path / "taught.de"
    result = nmt("translate", "--model", run, "--input", source, "--output", taught)
    assert result.status == 0, result.err
    assert len(taught.read_text().splitlines()) == len(source.read_text().splitlines())
    added = (f"data.extra.taught.source={source}", f"data.extra.taught.target={taught}")
    for weight, losses in (("0.5", 1), ("0", 0)):
        student = tmp_path / f"student {weight}"
        teacher = (
            f"training.distillation.teacher={run}",
            f"training.distillation.weight={weight}",
        )
        train(student, "experiment=student", *teacher, *added, "logging.log_every=1")
        logged = (student / "metrics.jsonl").read_text().splitlines()
        keys = {key for row in logged for key in json.loads(row)}
        assert len(keys & {"train/distillation_loss"}) == losses
        result = nmt("translate", "--model", run, "--model", student, "one two")
        assert result.status == 0, result.err  # their pieces are the same


def test_the_average_of_the_last_checkpoints_and_the_best_are_tested(
    nmt: Nmt, train: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    kept = ("training.keep_last=3", "training.average_last=3", "training.save_every=1")
    train(folder, *kept, "training.max_updates=5", "training.best_metric=perplexity")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["averaged"]["updates"] == [3, 4, 5]
    files = [weights(folder, name) for name in ("update-3.pt", "update-4.pt", "last.pt")]
    averaged = weights(folder, "averaged.pt")
    for name, weight in averaged.items():
        torch.testing.assert_close(weight, torch.stack([f[name] for f in files]).mean(0))
    used, best = summary["averaged"]["used"], weights(folder, "best.pt")
    assert used is all(torch.equal(best[name], weight) for name, weight in averaged.items())
    perplexities = [summary["averaged"]["valid"]["perplexity"]]
    perplexities.append(
        (summary["averaged"]["best_before"] if used else summary["valid"])["perplexity"]
    )
    assert used is (perplexities[0] <= perplexities[1])
    result = nmt("translate", "--model", folder / "checkpoints" / "averaged.pt", "one two")
    assert result.status == 0, result.err


def test_what_a_run_loads_is_named(
    run: Path, train: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(Console, "show", lambda self, verb, name: shown.append(f"{verb} {name}"))
    resumed = tmp_path / "run"
    recipe = (f"training.init_from={run}", f"training.distillation.teacher={run}")
    train(resumed, *recipe)
    assert shown == [f"loading {run}"] * 2
    (resumed / "summary.json").unlink()
    train(resumed, *recipe)
    assert shown[-1] == f"loading {resumed / 'checkpoints' / 'last.pt'}"
