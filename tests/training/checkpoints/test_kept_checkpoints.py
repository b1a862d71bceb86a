"""The newest, the best and the chosen checkpoints stay; none is removed before the next is safe."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.config.training_settings import TrainingConfig
from nmt.errors import UserError
from nmt.training.checkpoints.kept_checkpoints import (
    KeptCheckpoints,
    copied,
    is_due,
    resumable,
    score,
)


@pytest.fixture
def training(run_config: Callable[..., Any], tiny_config: Callable[..., Any]) -> TrainingConfig:
    settings: TrainingConfig = run_config(tiny_config(), keep_last=2, save_every=2).training
    return settings


@pytest.fixture(params=["at once", "in the background"])
def settings(training: TrainingConfig, request: pytest.FixtureRequest) -> TrainingConfig:
    return replace(training, save_in_background=request.param == "in the background")


def _write(content: memoryview, path: Path) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    os.replace(beside, path)


def _encode(update: int) -> Callable[[], memoryview]:
    return lambda: memoryview(str(update).encode())


def _content(folder: Path) -> dict[str, int]:
    return {path.name: int(path.read_text()) for path in folder.iterdir()}


def _save(kept: KeptCheckpoints, *updates: int) -> None:
    for update in updates:
        kept.save_last(update, _encode(update))


def _and_wait(kept: KeptCheckpoints, save: Callable[[], None]) -> None:
    save()
    kept.wait()


def _validate(kept: KeptCheckpoints, values: dict[int, float]) -> None:
    highest = -1.0
    for update, value in values.items():
        kept.save_validated(update, value, best=value > highest, encode=_encode(update))
        highest = max(highest, value)


@pytest.mark.parametrize(
    ("keep_last", "keep_every", "expected"),
    [
        (1, None, {"last.pt": 10}),
        (2, None, {"last.pt": 10, "update-8.pt": 8}),
        (4, None, {"last.pt": 10, "update-8.pt": 8, "update-6.pt": 6, "update-4.pt": 4}),
        (9, None, {"last.pt": 10, **{f"update-{n}.pt": n for n in (2, 4, 6, 8)}}),
        (1, 4, {"last.pt": 10, "update-8.pt": 8, "update-4.pt": 4}),
        (2, 6, {"last.pt": 10, "update-8.pt": 8, "update-6.pt": 6}),
    ],
)
def test_the_newest_and_the_chosen_stay(
    settings: TrainingConfig,
    tmp_path: Path,
    keep_last: int,
    keep_every: int | None,
    expected: dict[str, int],
) -> None:
    settings = replace(settings, keep_last=keep_last, keep_every=keep_every)
    with KeptCheckpoints(tmp_path, settings, _write) as kept:
        _save(kept, 2, 4, 6, 8, 10, 10)  # the last is saved again after its validation
    assert _content(tmp_path) == expected


def test_files_to_resume_from_are_sorted_newest_first(
    training: TrainingConfig, tmp_path: Path
) -> None:
    assert resumable(tmp_path) == []
    with KeptCheckpoints(tmp_path, replace(training, keep_last=4), _write) as kept:
        _save(kept, 2, 4, 90, 100)
        _validate(kept, {90: 1.0, 100: 2.0})
    names = [path.name for path in resumable(tmp_path)]
    assert names == ["last.pt", "update-90.pt", "update-4.pt", "update-2.pt"]
    (tmp_path / "last.pt").unlink()
    assert [path.name for path in resumable(tmp_path)] == names[1:]


def test_a_resumed_run_keeps_the_checkpoint_it_resumed_from(
    training: TrainingConfig, tmp_path: Path
) -> None:
    with KeptCheckpoints(tmp_path, training, _write) as kept:
        _save(kept, 2, 4)
    with KeptCheckpoints(tmp_path, training, _write) as kept:
        kept.resume(4)
        _save(kept, 6)
    assert _content(tmp_path) == {"last.pt": 6, "update-4.pt": 4}


def test_a_damaged_file_is_never_kept_under_another_name(
    training: TrainingConfig, tmp_path: Path
) -> None:
    with KeptCheckpoints(tmp_path, replace(training, keep_last=3), _write) as kept:
        _save(kept, 2, 4, 6)
    with KeptCheckpoints(tmp_path, training, _write) as kept:
        kept.resume(None)  # last.pt and update-4.pt are damaged: resume from update 2
        _save(kept, 3)
    assert _content(tmp_path) == {"last.pt": 3, "update-2.pt": 2}


@pytest.mark.parametrize(
    ("keep_best", "expected"),
    [
        (1, {"best.pt": 6}),
        (2, {"best.pt": 6, "best-update-8.pt": 8}),
        (3, {"best.pt": 6, "best-update-8.pt": 8, "best-update-2.pt": 2}),
    ],
)
def test_the_best_stay(
    settings: TrainingConfig, tmp_path: Path, keep_best: int, expected: dict[str, int]
) -> None:
    scores = {2: 5.0, 4: 4.0, 6: 9.0, 8: 7.0, 10: 5.0}  # of equal scores the earlier is better
    with KeptCheckpoints(tmp_path, replace(settings, keep_best=keep_best), _write) as kept:
        _validate(kept, scores)
    assert _content(tmp_path) == expected


def test_repeated_validations_after_a_fallback_keep_the_same_files(
    training: TrainingConfig, tmp_path: Path
) -> None:
    training, scores = replace(training, keep_best=2), {2: 5.0, 4: 6.0, 6: 7.0, 8: 3.0}
    with KeptCheckpoints(tmp_path, training, _write) as kept:
        _validate(kept, {2: 5.0, 4: 6.0, 6: 7.0})
    assert _content(tmp_path) == {"best.pt": 6, "best-update-4.pt": 4}
    with KeptCheckpoints(tmp_path, training, _write) as kept:
        for name, update in (("best.pt", 6), ("best-update-4.pt", 4)):
            kept.note_best(tmp_path / name, update, scores[update])
        _validate(kept, scores)
    assert _content(tmp_path) == {"best.pt": 6, "best-update-4.pt": 4}


def test_models_that_an_earlier_call_left_behind_are_removed(
    settings: TrainingConfig, tmp_path: Path
) -> None:
    scores = {2: 5.0, 4: 6.0, 6: 7.0}
    files = {"best.pt": 6, "best-update-4.pt": 4, "best-update-2.pt": 2}
    for name, update in files.items():
        (tmp_path / name).write_bytes(_encode(update)())
    with KeptCheckpoints(tmp_path, replace(settings, keep_best=2), _write) as kept:
        for name, update in list(files.items())[1:]:
            kept.note_best(tmp_path / name, update, scores[update])
        kept.remove_beaten()
        assert _content(tmp_path) == files  # best.pt is damaged or unknown
        kept.note_best(tmp_path / "best.pt", 6, scores[6])
        kept.remove_beaten()
    assert _content(tmp_path) == {"best.pt": 6, "best-update-4.pt": 4}


def test_no_file_is_removed_before_the_new_one_is_safe(
    settings: TrainingConfig, tmp_path: Path
) -> None:
    settings = replace(settings, keep_best=2)
    with KeptCheckpoints(tmp_path, settings, _write) as kept:
        _save(kept, 2, 4)
        _validate(kept, {2: 1.0, 4: 2.0})
    before = _content(tmp_path)

    def fail(content: memoryview, path: Path) -> None:
        raise UserError(f"no room for {path.name}")

    for name in ("last.pt", "best.pt"):
        kept = KeptCheckpoints(tmp_path, settings, fail)
        kept.resume(4)
        kept.note_best(tmp_path / "best.pt", 4, 2.0)
        kept.note_best(tmp_path / "best-update-2.pt", 2, 1.0)
        if name == "last.pt":
            save = partial(kept.save_last, 6, _encode(6))
        else:
            save = partial(kept.save_validated, 6, 3.0, best=True, encode=_encode(6))
        with pytest.raises(UserError, match=f"no room for {name}"):
            _and_wait(kept, save)
        # The old file may already have its next name, but it still has the old one too.
        assert before.items() <= _content(tmp_path).items()


def test_a_failure_in_the_background_is_raised_before_the_next_save(
    training: TrainingConfig, tmp_path: Path
) -> None:
    def fail(content: memoryview, path: Path) -> None:
        raise UserError("no room")

    training = replace(training, save_in_background=True)
    kept = KeptCheckpoints(tmp_path, training, fail)
    with pytest.raises(UserError, match="no room"):
        _save(kept, 2, 4, 6, 8)
    with (
        pytest.raises(UserError, match="no room"),
        KeptCheckpoints(tmp_path, training, fail) as kept,
    ):
        _save(kept, 2)  # and nothing after it


def test_nothing_is_written_after_a_failure_in_the_background(
    training: TrainingConfig, tmp_path: Path
) -> None:
    """A later ``last.pt`` would name a ``best.pt`` that is not on the disk."""
    go, full = threading.Event(), ["best.pt"]

    def write(content: memoryview, path: Path) -> None:
        assert go.wait(30)
        if path.name in full:
            full.remove(path.name)
            raise UserError("no room")
        _write(content, path)

    kept = KeptCheckpoints(tmp_path, replace(training, save_in_background=True), write)
    kept.save_validated(2, 1.0, best=True, encode=_encode(2))
    kept.save_last(2, _encode(2))  # waits behind the write that fails
    go.set()
    with pytest.raises(UserError, match="no room"), kept:
        kept.wait()
    assert _content(tmp_path) == {}


def test_the_first_of_two_failures_is_raised(training: TrainingConfig, tmp_path: Path) -> None:
    def fail(content: memoryview, path: Path) -> None:
        raise UserError("no room")

    def save_and_fail() -> None:
        with KeptCheckpoints(tmp_path, replace(training, save_in_background=True), fail) as kept:
            _save(kept, 2)
            raise KeyError

    with pytest.raises(KeyError):
        save_and_fail()


def test_training_continues_during_a_write_and_close_waits_for_it(
    training: TrainingConfig, tmp_path: Path
) -> None:
    go = threading.Event()

    def slow(content: memoryview, path: Path) -> None:
        assert go.wait(30)
        _write(content, path)

    with KeptCheckpoints(tmp_path, replace(training, save_in_background=True), slow) as kept:
        kept.save_last(2, _encode(2))
        assert not (tmp_path / "last.pt").exists()
        go.set()
    assert _content(tmp_path) == {"last.pt": 2}


def test_the_next_save_removes_partial_files_of_killed_writes(
    training: TrainingConfig, tmp_path: Path
) -> None:
    left = tmp_path / ".best-update-7.pt.partial"
    left.touch()
    with KeptCheckpoints(tmp_path, training, _write) as kept:
        assert left.exists()
        _save(kept, 2)
    assert _content(tmp_path) == {"last.pt": 2}


def test_files_are_kept_on_disks_without_hard_links(
    training: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    with KeptCheckpoints(tmp_path, replace(training, keep_best=2), _write) as kept:
        _save(kept, 2, 4, 6)
        _validate(kept, {2: 1.0, 4: 2.0})
    found = _content(tmp_path)
    assert found == {"last.pt": 6, "update-4.pt": 4, "best.pt": 4, "best-update-2.pt": 2}


def test_a_snapshot_is_independent_and_preserves_sharing() -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    state = {"a": weight, "tied": weight, "rest": [1, (None, weight[0]), "x"]}
    copy = copied(state)
    weight.zero_()
    assert copy["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert copy["tied"] is copy["a"]
    assert copy["rest"][1][1].tolist() == [0, 1, 2]
    assert copy["rest"][0] == 1
    assert copy["rest"][1][0] is None


def test_a_run_is_saved_at_both_intervals(training: TrainingConfig) -> None:
    training = replace(training, save_every=4, keep_every=6)
    assert [update for update in range(1, 13) if is_due(training, update)] == [4, 6, 8, 12]


def test_a_lower_perplexity_is_better() -> None:
    assert score({"perplexity": 3.0, "bleu": 1.0}, "perplexity") > score(
        {"perplexity": 4.0, "bleu": 2.0}, "perplexity"
    )
    assert score({"bleu": 2.0}, "bleu") > score({"bleu": 1.0}, "bleu")
