"""A run survives a kill, a loss of power or an error at each of its file operations.

The quick tests save made-up checkpoints, a few numbers and a summary, as a run does; the slow ones
train. ``NMT_FAULTS=all`` tries each operation of the slow tests, not a sample.
"""

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from faulty_disk import Failure, FaultyDisk, Loss, in_a_fork

from nmt import pipeline
from nmt.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.process_exit import exit_on_error
from nmt.reporting.metric_log import JsonLinesLog, read_metrics
from nmt.run.checkpoints.run_checkpoints import RunCheckpoints
from nmt.run.folder import RunFolder
from nmt.run.metric_files import after_curves
from nmt.sweeps.overrides import compose_config
from nmt.text.tokenizer import TokenizerPair, train_tokenizers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names of descriptors: /proc")

ERRORS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT]
UPDATES, BEST_AT = 2, 1
SCORES = {"loss": 1.0, "perplexity": 2.0, "bleu": 3.0, "chrf": 4.0}
SCORES |= {"signature": "a", "chrf_signature": "b"}  # type: ignore[dict-item]


@dataclass(frozen=True)
class Saving:
    """A run that saves without training; its files depend on the update alone."""

    config: Config
    tokenizers: TokenizerPair
    path: Path

    def resume(self, saved: Callable[[int], None] = lambda _: None) -> int:
        """Run to the end from the newest checkpoint, and return the update of that.

        Args:
            saved: Called with its update when a checkpoint is complete.
        """
        folder, warnings = RunFolder(self.path), list[str]()
        folder.check(self.config)
        if folder.read_summary() is not None:
            folder.forget_best()
            return UPDATES
        folder.check_writable()
        with folder.disk_errors_explained():
            folder.create(self.config, "yaml: 1\n")
            with (
                folder.locked(),
                RunCheckpoints(folder, self.config, self.tokenizers, warnings.append) as files,
            ):
                found = files.newest()
                start = 0 if found is None or found.update is None else found.update
                self._train(folder, files, start, saved)
        assert warnings == []
        return start

    def _train(
        self, folder: RunFolder, files: RunCheckpoints, start: int, saved: Callable[[int], None]
    ) -> None:
        log = JsonLinesLog(folder.metrics, start, clock=lambda: 0.0)
        save = after_curves(files.save, log)
        try:
            for update in range(start + 1, UPDATES + 1):
                log.scalars(update, {"loss": update})
                if update == BEST_AT:
                    save("best.pt", update, self._weights(update), None, {"perplexity": 1.0})
                state = {"progress": {"update": update}}
                save("last.pt", update, self._weights(update), state, {})
                saved(update)
        finally:
            log.close()
        folder.keep_best()
        save_checkpoint(self._checkpoint(100), folder.best)
        folder.write_translations(["eins", "zwei"])
        folder.write_summary({"valid": SCORES})

    def _checkpoint(self, update: int) -> Checkpoint:
        return Checkpoint(self.config, self.tokenizers, self._weights(update), None, {}, update)

    def _weights(self, update: int) -> dict[str, torch.Tensor]:
        return {"weight": torch.full((2,), float(update))}

    def end(self) -> dict[str, Any]:
        """Return the content of all files of the finished run."""
        files: dict[str, Any] = {}
        for path in sorted(self.path.rglob("*")):
            if path.suffix == ".pt":
                checkpoint = load_checkpoint(path)
                weights = {name: w.tolist() for name, w in checkpoint.weights.items()}
                files[path.name] = weights, checkpoint.training, checkpoint.update
            elif path.is_file():
                files[path.name] = path.read_bytes()
        return files


@pytest.fixture
def saving(
    tmp_path: Path, run_config: Callable[..., Config], tiny_config: Callable[..., Any]
) -> Saving:
    config = run_config(tiny_config(), keep_last=2)
    tokenizer = replace(config.tokenizer, vocab_size=20)
    text = ["one two three four five six seven eight nine ten"] * 3
    return Saving(config, train_tokenizers(tokenizer, text, text), tmp_path / "disk" / "run")


@pytest.fixture
def expected(saving: Saving) -> dict[str, Any]:
    saving.resume()
    end = saving.end()
    shutil.rmtree(saving.path.parent)
    saving.path.parent.mkdir()
    return end


def _digest(folder: Path) -> str:
    digest = hashlib.sha1()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _distinct(copies: Path, operations: int) -> Iterator[tuple[int, Loss, Path]]:
    """Yield each copy of the disk that differs from all earlier ones."""
    seen: set[str] = set()
    for number in range(1, operations + 1):
        for loss in Loss:
            copy = copies / str(number) / loss.name
            if copy.exists() and (digest := _digest(copy)) not in seen:
                seen.add(digest)
                yield number, loss, copy


def _restore(copy: Path, root: Path) -> None:
    shutil.rmtree(root)
    shutil.copytree(copy, root)


def test_a_kill_or_a_loss_of_power_at_any_operation_loses_no_checkpoint(
    saving: Saving, expected: dict[str, Any], tmp_path: Path
) -> None:
    root, copies, complete = saving.path.parent, tmp_path / "copies", list[tuple[int, int]]()
    copies.mkdir()
    with FaultyDisk(root, copies=copies) as disk:
        saving.resume(lambda update: complete.append((len(disk.done), update)))
    assert saving.end() == expected
    made = {loss for loss in Loss if list(copies.glob(f"*/{loss.name}"))}
    assert made >= {Loss.KILLED, Loss.TORN, Loss.NAMES}
    for number, loss, copy in _distinct(copies, len(disk.done)):
        what = f"operation {number}, {disk.done[number - 1]}, {loss}"
        _restore(copy, root)
        at_least = max((update for end, update in complete if end < number), default=0)
        assert saving.resume() >= at_least, what
        assert saving.end() == expected, what


def test_an_error_at_any_operation_is_one_line_and_loses_nothing(
    saving: Saving, expected: dict[str, Any]
) -> None:
    root = saving.path.parent
    with FaultyDisk(root) as disk:
        saving.resume()
    for number in range(1, len(disk.done) + 1):
        shutil.rmtree(root)
        root.mkdir()
        error = ERRORS[number % len(ERRORS)]
        what = f"operation {number}, {disk.done[number - 1]}, {os.strerror(error)}"
        complete = [0]
        with FaultyDisk(root, Failure(number, error, lasting=number % 2 == 0)):
            refusal = _refusal(partial(saving.resume, complete.append))
        if refusal is not None:
            assert "\n" not in refusal, what
            assert os.strerror(error) in refusal, what
            assert str(root) in refusal, what
        for path in root.rglob("*.pt"):
            load_checkpoint(path)
        assert saving.resume() >= complete[-1], what
        assert saving.end() == expected, what


def _refusal(call: Callable[[], object]) -> str | None:
    """Return the message of a refusal; None: there was none."""
    try:
        call()
    except UserError as error:
        return str(error)
    return None


# ------------------------------------------------------------------- whole runs

WHOLE = [
    *("training.threads=1", "training.max_updates=4", "training.validate_every=2"),
    *("training.save_every=1", "training.batch_tokens=64", "logging.log_every=1"),
    *("decoding.beam_size=1", "training.keep_best=2", "model.encoder.dropout=0.2"),
    *("training.average_last=2", "training.best_metric=bleu", "logging.samples=0"),
    *("logging.tensorboard=false", "tokenizer.vocab_size=42"),
]
TIMES = (
    "seconds",
    "validation_seconds",
    "tokens_per_second",
    "time",
    "finished",
    "train/tokens_per_second",
)
SAMPLE = 1 if os.environ.get("NMT_FAULTS") == "all" else 12  # every n-th is tried


@dataclass(frozen=True)
class Training:
    """A run of a tiny model, in a fork of this process."""

    config: Config
    root: Path
    log: Path

    def train(self, failure: Failure | None = None, copies: Path | None = None) -> int:
        """Train to the end, and return the exit status."""

        def call() -> int:
            with FaultyDisk(self.root, failure, copies) as disk:
                try:
                    with exit_on_error():
                        pipeline.train(self.config, "yaml: 1\n", lambda: False)
                finally:
                    disk.__exit__()
                    self.log.with_suffix(".done").write_text("\n".join(disk.done))
            return 0

        return in_a_fork(call, self.log)

    @property
    def done(self) -> Sequence[str]:
        """The operations of the last run."""
        return self.log.with_suffix(".done").read_text().splitlines()

    def end(self) -> dict[str, Any]:
        """Return the content of all files of the finished run, without times."""
        run = self.root / "run"
        files: dict[str, Any] = {
            "metrics.jsonl": [_timeless(row) for row in read_metrics(run / "metrics.jsonl")],
            "summary.json": _timeless(json.loads((run / "summary.json").read_text())),
            "names": sorted(str(path.relative_to(run)) for path in run.rglob("*")),
            "translations": (run / "test.translations.txt").read_bytes(),
            "config.yaml": (run / "config.yaml").read_bytes(),
        }
        for path in run.glob("checkpoints/*.pt"):
            checkpoint = load_checkpoint(path)
            training = dict(checkpoint.training or {})
            training["progress"] = _timeless(training.get("progress", {}))
            content = dict(checkpoint.weights), training, checkpoint.update, checkpoint.metrics
            files[path.name] = content
        return files


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in TIMES}


def _differences(found: Any, expected: Any, path: str = "") -> list[str]:
    """Compare nested containers bit for bit, and return where they differ."""
    if isinstance(expected, dict):
        if found.keys() != expected.keys():
            return [f"{path}: {sorted(found.keys() ^ expected.keys())}"]
        pairs = [(found[key], expected[key], f"{path}/{key}") for key in expected]
    elif isinstance(expected, list | tuple):
        if len(found) != len(expected):
            return [f"{path}: {len(found)} parts, not {len(expected)}"]
        pairs = [(*pair, f"{path}/{i}") for i, pair in enumerate(zip(found, expected, strict=True))]
    elif isinstance(expected, torch.Tensor):
        return [] if torch.equal(found, expected) else [path]
    else:
        return [] if found == expected else [f"{path}: {found!r:.100}, not {expected!r:.100}"]
    return [difference for pair in pairs for difference in _differences(*pair)]


@pytest.fixture
def training(corpus: Path, tiny: Callable[[Path], list[str]], tmp_path: Path) -> Training:
    root = tmp_path / "disk"
    root.mkdir()
    folders = [f"run.dir={root / 'run'}", f"data.cache_dir={root / 'cache'}"]
    config = compose_config([*tiny(corpus), *WHOLE, *folders], {})
    return Training(config, root, tmp_path / "log")


@pytest.mark.slow
def test_a_run_resumes_to_the_same_end_after_a_kill_or_a_loss_of_power(
    training: Training, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    assert training.train(copies=copies) == 0, training.log.read_text()
    expected, done = training.end(), training.done
    for number, loss, copy in list(_distinct(copies, len(done)))[::SAMPLE]:
        what = f"operation {number}, {done[number - 1]}, {loss}"
        last = copy / "run" / "checkpoints" / "last.pt"
        _restore(copy, training.root)
        status, log = training.train(), training.log.read_text()
        assert status == 0, f"{what}\n{log}"
        if last.exists() and not (copy / "run" / "summary.json").exists():
            assert f"resuming after update {load_checkpoint(last).update}" in log, what
        assert _differences(training.end(), expected) == [], what


@pytest.mark.slow
def test_a_run_ends_in_one_line_after_an_error_and_resumes_to_the_same_end(
    training: Training,
) -> None:
    assert training.train() == 0, training.log.read_text()
    expected, done = training.end(), training.done
    for number in range(1, len(done) + 1, SAMPLE):
        step = number // SAMPLE
        error = ERRORS[step % len(ERRORS)]
        what = f"operation {number}, {done[number - 1]}, {os.strerror(error)}"
        shutil.rmtree(training.root)
        training.root.mkdir()
        status = training.train(Failure(number, error, lasting=step % 2 == 0))
        log = training.log.read_text()
        assert "Traceback" not in log, f"{what}\n{log}"
        assert status in (0, 2), f"{what}\n{log}"
        lines = [line for line in log.splitlines() if line.startswith("nmt: ")]
        assert len(lines) == (status == 2), f"{what}\n{log}"
        assert status == 0 or os.strerror(error) in lines[0], what
        for path in training.root.rglob("*.pt"):
            load_checkpoint(path)
        assert training.train() == 0, f"{what}\n{training.log.read_text()}"
        assert _differences(training.end(), expected) == [], what
