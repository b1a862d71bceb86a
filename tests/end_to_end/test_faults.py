"""Injected faults: each is survived, or ends in one line with the fault and its remedy.

| fault | where it is tested |
|---|---|
| a full disk; a checkpoint flipped, cut off or gone; all of them damaged | test_resume.py |
| killed at random moments | test_killed.py |
| a rank killed, interrupted or with a fault of its own | test_torchrun.py |
| an update that is not finite, again and again | tests/training/test_guard.py |
| memory that runs out, in one process or in one of several | tests/training/passes/test_budget.py |
| a folder that cannot be written or read; writing that fails in the midst | here |
| a corpus, cache, teacher or tokenizer that has gone or changed | here |
| weights that are no numbers when they are validated | here |
"""

import errno
import math
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt import durable_file
from nmt.checkpoint import load_checkpoint
from nmt.evaluation.validation import evaluate_model
from nmt.reporting import picture_log
from nmt.reporting.metric_log import JsonLinesLog, read_metrics
from nmt.reporting.tensorboard import TensorBoardLog
from nmt.run import stages
from nmt.training.trainer import Trainer
from nmt.training.update import Updater

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]
Stop = Callable[[int], None]

GOES_ON = "run the same command to resume"
WRITERS = {  # an object and the name of its function that writes there
    "checkpoint": (durable_file.os, "fsync"),
    "curves": (JsonLinesLog, "scalars"),
    "tensorboard": (TensorBoardLog, "scalars"),
    "pictures": (picture_log, "save_heatmap"),
}


@pytest.fixture
def settings(corpus: Path, tiny: Tiny) -> list[str]:
    return [
        *tiny(corpus),
        *("training.max_updates=6", "training.validate_every=3", "training.save_every=1"),
        *("logging.log_every=1", "training.batch_tokens=64", "decoding.beam_size=1"),
        *("logging.tensorboard=false", "logging.samples=0", "model.encoder.dropout=0.2"),
    ]


@pytest.fixture
def finished(run: Path) -> Path:
    """A run on another copy of the same text."""
    return run


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Stop:
    """Interrupt the next run in its n-th update."""
    whole = Trainer._update

    def arrange(number: int) -> None:
        def update(self: Trainer, batches: Any) -> None:
            if self.progress.update + 1 == number:
                monkeypatch.setattr(Trainer, "_update", whole)
                os.kill(os.getpid(), signal.SIGINT)
            whole(self, batches)

        monkeypatch.setattr(Trainer, "_update", update)

    return arrange


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def refusal(result: Any) -> str:
    """Return the one line with which a command ended in status 2."""
    assert result.status == 2, result.err
    assert "Traceback" not in result.err
    lines = [line for line in result.err.splitlines() if line.startswith("nmt: ")]
    (line,) = (one for one in lines if "stopping after this update" not in one)
    return line


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = (load_checkpoint(run / "checkpoints" / "last.pt") for run in (one, other))
    assert first.update == second.update
    for name, weight in first.weights.items():
        assert torch.equal(weight, second.weights[name]), name


def no_access(number: int, below: Path, whole: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function fail for paths in a folder, like the operating system; for root too."""

    def call(path: Any, *arguments: Any, **keywords: Any) -> Any:
        if Path(os.fspath(path)).is_relative_to(below):
            raise OSError(number, os.strerror(number), str(path))
        return whole(path, *arguments, **keywords)

    return call


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_run_folder_that_cannot_be_written_is_named_before_training(
    nmt: Nmt, settings: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    run = tmp_path / "read only" / "run"
    monkeypatch.setattr(os, "mkdir", no_access(number, run.parent, os.mkdir))
    line = refusal(nmt("train", *settings, f"run.dir={run}"))
    assert f"cannot write the run folder {run}: {os.strerror(number)}" in line
    assert "choose another run.dir" in line
    assert not run.exists()


@pytest.mark.parametrize("function", ["stat", "listdir"])
def test_a_folder_that_cannot_be_read_is_named(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
) -> None:
    run = tmp_path / "closed" / "run"
    run.mkdir(parents=True)
    whole = getattr(os, function)
    monkeypatch.setattr(os, function, no_access(errno.EACCES, run, whole))
    line = refusal(nmt("train", *settings, f"run.dir={run}"))
    assert f"cannot read the run folder {run}: Permission denied" in line
    assert "choose another run.dir" in line


@pytest.mark.parametrize(
    ("writer", "number"),
    [
        ("checkpoint", errno.EROFS),
        *(
            pytest.param(writer, number, marks=pytest.mark.slow)
            for writer, number in (
                ("checkpoint", errno.EIO),
                ("curves", errno.EIO),
                ("curves", errno.EDQUOT),
                ("curves", errno.EACCES),
                ("tensorboard", errno.EROFS),
                ("pictures", errno.EACCES),
            )
        ),
    ],
)
def test_a_failed_write_during_training_loses_nothing(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    writer: str,
    number: int,
) -> None:
    settings = [*settings, f"logging.tensorboard={str(writer == 'tensorboard').lower()}"]
    settings += [f"logging.samples={int(writer == 'pictures')}"]
    run, whole = tmp_path / "run", tmp_path / "whole"
    owner, name = WRITERS[writer]
    write, saved = getattr(owner, name), []

    def failing(*arguments: Any, **keywords: Any) -> Any:
        last = run / "checkpoints" / "last.pt"
        if last.exists() and load_checkpoint(last).update == 2:
            saved[:] = [last.read_bytes()]
            raise OSError(number, os.strerror(number))
        return write(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        line = refusal(nmt("train", *settings, f"run.dir={run}"))
    assert str(run) in line
    assert os.strerror(number) in line
    assert GOES_ON in line
    assert (run / "checkpoints" / "last.pt").read_bytes() == saved[0]
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 0, result.err
    assert "resuming after update 2" in result.err
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    assert_same_weights(run, whole)


@pytest.mark.parametrize(
    "damage",
    [
        "gone",
        "other pairs",
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in ("one side cut off", "both sides cut off")
        ),
    ],
)
def test_a_missing_or_changed_corpus_is_named_and_the_run_is_unchanged(
    nmt: Nmt,
    settings: Sequence[str],
    corpus: Path,
    finished: Path,
    tmp_path: Path,
    stop_at: Stop,
    damage: str,
) -> None:
    run, pieces = tmp_path / "run", tmp_path / "pieces.model"
    if damage == "other pairs":  # the same pieces, so that the text differs in nothing else
        checkpoint = load_checkpoint(finished / "checkpoints" / "best.pt")
        pieces.write_bytes(checkpoint.tokenizers.source.to_bytes())
        settings = [*settings, f"tokenizer.model={pieces}"]
    stop_at(2)
    assert nmt("train", *settings, f"run.dir={run}").status == 75
    before = contents(run / "checkpoints")
    kept = contents(corpus)
    for side in ("en",) if damage == "one side cut off" else ("en", "de"):
        path = corpus / f"train.{side}"
        if damage == "gone":
            path.unlink()
        else:
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:-10]))
    line = refusal(nmt("train", *settings, f"run.dir={run}"))
    if damage in ("both sides cut off", "other pairs"):
        assert "the text has changed since" in line
        assert damage == "both sides cut off" or "it has 90 pairs, not 100" in line
        assert "restore the text" in line
    else:
        assert str(corpus / "train") in line
    assert contents(run / "checkpoints") == before
    for path, content in kept.items():
        path.write_bytes(content)
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 0, result.err
    assert "resuming after update 2" in result.err


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_deleted_cache_is_created_again(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    stop_at: Stop,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    """A running process keeps using its open files; a resumed run prepares the corpus again."""
    cache, run, whole = (tmp_path / name for name in ("cache", "run", "whole"))
    settings = [*settings, f"data.loader_workers={workers}", "tokenizer.sampling=0.1"]
    assert nmt("train", *settings, f"run.dir={whole}").status == 0
    settings += [f"data.cache_dir={cache}"]
    update = Trainer._update

    def vanishing(self: Trainer, batches: Any) -> None:
        if self.progress.update == 1:
            shutil.rmtree(cache)
        update(self, batches)

    stop_at(4)
    stopping = Trainer._update

    def early_or_late(self: Trainer, batches: Any) -> None:
        (vanishing if self.progress.update < 3 else stopping)(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_update", early_or_late)
        result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 75, result.err
    assert not cache.exists()
    result = nmt("train", *settings, f"run.dir={run}")
    assert result.status == 0, result.err
    assert_same_weights(run, whole)


@pytest.mark.slow
def test_a_missing_teacher_or_tokenizer_is_named(
    nmt: Nmt, settings: Sequence[str], finished: Path, tmp_path: Path, stop_at: Stop
) -> None:
    teacher, model = tmp_path / "teacher", tmp_path / "own.model"
    shutil.copytree(finished, teacher)
    checkpoint = load_checkpoint(finished / "checkpoints" / "best.pt")
    model.write_bytes(checkpoint.tokenizers.source.to_bytes())
    for number, (gone, override) in enumerate(
        [
            (teacher, [f"training.distillation.teacher={teacher}"]),
            (model, [f"tokenizer.model={model}"]),
        ]
    ):
        folder = tmp_path / f"run-{number}"
        stop_at(2)
        result = nmt("train", *settings, *override, f"run.dir={folder}")
        assert result.status == 75, result.err
        moved = gone.rename(tmp_path / "moved away")
        line = refusal(nmt("train", *settings, *override, f"run.dir={folder}"))
        assert str(gone) in line
        assert override[0].partition("=")[0] in line
        moved.rename(gone)
        result = nmt("train", *settings, *override, f"run.dir={folder}")
        assert result.status == 0, result.err
        assert "resuming after update 2" in result.err


@pytest.mark.parametrize("way", ["stop", "rewind"])
def test_a_batch_that_is_not_finite_stops_or_rewinds_the_run(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    settings = [*settings, "training.max_skipped=0", f"training.on_divergence={way}"]
    run, backward, poisoned = tmp_path / "run", Updater._backward, []

    def spoiled(self: Updater, batch: Any, tokens: int, last: bool) -> Tensor:
        loss = backward(self, batch, tokens, last)
        if self._progress.update == 4 and not poisoned:
            poisoned.append(1)
            return loss * math.nan
        return loss

    monkeypatch.setattr(Updater, "_backward", spoiled)
    result = nmt("train", *settings, f"run.dir={run}")
    if way == "rewind":
        assert result.status == 0, result.err
        assert "rewound to the weights of last.pt, update 3" in result.err
    else:
        line = refusal(result)
        assert "update 4 is not finite" in line
        assert str(run / "bad_batches" / "update-4.json") in line
        assert "choose training.on_divergence=rewind" in line
        assert load_checkpoint(run / "checkpoints" / "last.pt").update == 3
        result = nmt("train", *settings, f"run.dir={run}")
        assert result.status == 0, result.err


@pytest.mark.parametrize("way", ["stop", "rewind"])
def test_a_validation_that_is_not_finite_stops_or_rewinds_the_run(
    nmt: Nmt,
    settings: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    settings = [*settings, f"training.on_divergence={way}", "training.save_every=1"]
    run, broken = tmp_path / "run", []

    def spoiled(translator: Any, *arguments: Any) -> Any:
        if not broken:  # the weights overflow in the third update, before the validation
            broken.append(1)
            with torch.no_grad():
                translator.model.output.weight.fill_(math.nan)
        return evaluate_model(translator, *arguments)

    monkeypatch.setattr(stages, "evaluate_model", spoiled)
    result = nmt("train", *settings, f"run.dir={run}")
    if way == "rewind":
        assert result.status == 0, result.err
        assert (
            "the validation loss of update 3 is nan; rewound to the weights of last.pt"
            in result.err
        )
        rows = read_metrics(run / "metrics.jsonl")
        assert all(math.isfinite(value) for row in rows for value in row.values())
        assert [row["step"] for row in rows if "valid/loss" in row] == [6]
    else:
        line = refusal(result)
        assert "the validation loss of update 3 is nan" in line
        assert "the last checkpoint is intact" in line
        assert "training.on_divergence=rewind" in line
        last = load_checkpoint(run / "checkpoints" / "last.pt")
        assert last.update == 2
        assert all(weight.isfinite().all() for weight in last.weights.values())
