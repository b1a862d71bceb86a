"""Run folders: free, unfinished or finished, and the settings that may change."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nmt import durable_file
from nmt.config.model import ModelConfig
from nmt.config.schema import Config, LoggingConfig, RunConfig
from nmt.errors import UserError
from nmt.run.folder import RunFolder, write_json


@pytest.fixture
def config(run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]) -> Config:
    return run_config(tiny_config())


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def _content(folder: RunFolder) -> dict[Path, bytes]:
    """Return the content of every file of a run folder."""
    return {file: file.read_bytes() for file in folder.path.rglob("*") if file.is_file()}


def _with_training(config: Config, **changes: object) -> Config:
    return replace(config, training=replace(config.training, **changes))  # type: ignore[arg-type]


def test_the_name_is_derived_from_the_settings(config: Config) -> None:
    name = RunFolder.of(config).path
    assert name.parent == Path("runs")
    assert name.name.startswith("phrasebook-rnn-bahdanau-s1-")
    assert RunFolder.of(replace(config)).path == name


def test_settings_that_change_the_result_change_the_name(config: Config) -> None:
    others = [
        replace(config, seed=2),
        replace(config, optimizer=replace(config.optimizer, beta1=0.8)),
        replace(config, tokenizer=replace(config.tokenizer, vocab_size=65)),
        _with_training(config, max_updates=7),
        _with_training(config, label_smoothing=0.2),
    ]
    names = {RunFolder.of(other).path for other in [config, *others]}
    assert len(names) == len(others) + 1


def test_settings_that_do_not_change_the_result_keep_the_name(config: Config) -> None:
    logging = LoggingConfig(log_every=99, tensorboard=True, samples=9, heatmap_layer=1)
    others = [
        replace(config, logging=logging),
        replace(config, data=replace(config.data, cache_dir="elsewhere")),
    ]
    assert {RunFolder.of(other).path for other in others} == {RunFolder.of(config).path}


def test_a_given_folder_is_used_unchanged(config: Config) -> None:
    config = replace(config, run=RunConfig(dir="some where/a=b"))
    assert RunFolder.of(config).path == Path("some where/a=b")


def test_a_missing_folder_becomes_a_run(config: Config, folder: RunFolder) -> None:
    for _ in range(2):
        folder.check(config)
        folder.create(config, "seed: 1\n")
    assert (folder.path / "config.yaml").read_text() == "seed: 1\n"
    assert json.loads((folder.path / "config.json").read_text())["seed"] == 1
    assert folder.read_summary() is None


def test_an_empty_folder_is_accepted(config: Config, folder: RunFolder) -> None:
    folder.path.mkdir()
    folder.check(config)
    assert folder.path.is_dir()
    assert not list(folder.path.iterdir()), "the check has written into the folder"


def test_a_foreign_folder_or_file_is_refused(config: Config, folder: RunFolder) -> None:
    folder.path.mkdir()
    (folder.path / "thesis.txt").touch()
    for path in (folder.path, folder.path / "thesis.txt"):
        with pytest.raises(UserError, match=f"{path} exists and is not a run"):
            RunFolder(path).check(config)


def test_a_folder_below_a_file_is_refused(config: Config, folder: RunFolder) -> None:
    folder.path.touch()
    below = RunFolder(folder.path / "run")
    below.check(config)
    with pytest.raises(UserError, match=r"or choose another run\.dir"):
        below.create(config, "")


def test_runs_that_start_at_once_may_share_a_missing_parent(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that makes the parents fails if another run makes them first, or removes them."""

    def make(self: Path, *_: object, **__: object) -> None:
        raise FileExistsError(17, "another run made it first", str(self))

    missing = RunFolder(folder.path / "runs" / "one")
    monkeypatch.setattr(Path, "mkdir", make)
    missing.check_writable()
    monkeypatch.undo()
    assert not folder.path.exists()


def test_a_folder_that_cannot_be_made_is_refused_before_the_preparation(
    folder: RunFolder, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "one", tmp_path / "file" / "one" / "two"):
        with pytest.raises(UserError, match="cannot write the run folder .*; fix that, or choose"):
            RunFolder(path).check_writable()


def test_an_unfinished_run_may_change_its_limits_and_logging(
    config: Config, folder: RunFolder
) -> None:
    folder.create(config, "")
    before = _content(folder)
    logging = LoggingConfig(log_every=99, tensorboard=True, samples=9, heatmap_layer=1)
    folder.check(replace(config, logging=logging))
    folder.check(_with_training(config, max_updates=99, max_minutes=5.0))
    folder.check(replace(config, data=replace(config.data, cache_dir="elsewhere")))
    assert _content(folder) == before, "the check has changed the folder"


def test_a_resumed_run_records_its_changed_settings(config: Config, folder: RunFolder) -> None:
    longer = _with_training(config, max_updates=99)
    folder.create(config, "max_updates: 6")
    folder.create(longer, "max_updates: 99")
    folder.write_summary({})
    folder.check(longer)
    assert (folder.path / "config.yaml").read_text() == "max_updates: 99"


def test_a_folder_left_incomplete_by_a_kill_is_accepted(config: Config, folder: RunFolder) -> None:
    folder.path.mkdir()
    (folder.path / ".config.json.partial").write_text("{")
    folder.check(config)
    folder.create(config, "")
    folder.check(config)
    assert json.loads((folder.path / "config.json").read_text())["seed"] == config.seed
    assert folder.read_summary() is None


def test_an_export_into_the_folder_that_was_killed_does_not_lock_it(
    config: Config, folder: RunFolder
) -> None:
    folder.create(config, "")
    (folder.path / ".exported.a1b2.partial").mkdir()
    (folder.path / ".config.json.partial").touch()
    with folder.locked():
        assert not (folder.path / ".config.json.partial").exists()
    assert (folder.path / ".exported.a1b2.partial").is_dir(), "the export may still be running"


def test_changed_settings_are_refused_by_name(config: Config, folder: RunFolder) -> None:
    folder.create(config, "")
    other = replace(_with_training(config, clip_norm=None), seed=2)
    with pytest.raises(UserError) as raised:
        folder.check(other)
    assert "seed was 1, now 2" in str(raised.value)
    assert "training.clip_norm was 1.0, now null" in str(raised.value)
    assert str(raised.value).count("was ") == 2


def test_another_kind_of_model_is_refused_by_name(
    config: Config, folder: RunFolder, tiny_config: Callable[..., ModelConfig]
) -> None:
    folder.create(config, "")
    with pytest.raises(UserError, match=r'model\.encoder\.name was "rnn", now "transformer"'):
        folder.check(replace(config, model=tiny_config("transformer", "transformer")))


def test_a_finished_run_is_recognized(config: Config, folder: RunFolder) -> None:
    folder.create(config, "")
    numbers = {"loss": 1.0, "perplexity": 2.7, "bleu": 1.0, "chrf": 9.0}
    summary = {"valid": {**numbers, "signature": "a", "chrf_signature": "b"}}
    folder.write_summary(summary)
    folder.check(config)
    assert folder.read_summary() == summary
    with pytest.raises(
        UserError, match=r"finished run with different settings: training\.max_updates"
    ):
        folder.check(_with_training(config, max_updates=99))


def test_a_run_older_than_a_setting_resumes(config: Config, folder: RunFolder) -> None:
    folder.create(config, "")
    file = folder.path / "config.json"
    settings = json.loads(file.read_text())
    del settings["training"]["coverage_loss"]
    file.write_text(json.dumps(settings))
    folder.check(config)
    with pytest.raises(UserError, match=r"training\.coverage_loss was 0\.0, now 1\.0"):
        folder.check(_with_training(config, coverage_loss=1.0))


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"'])
def test_a_damaged_file_is_named(config: Config, folder: RunFolder, content: str) -> None:
    folder.create(config, "")
    folder.summary.write_text(content)
    with pytest.raises(UserError, match=str(folder.summary)):
        folder.read_summary()
    (folder.path / "config.json").write_text(content)
    with pytest.raises(UserError, match=str(folder.path / "config.json")):
        folder.check(config)


def test_a_folder_holds_one_process_at_a_time(config: Config, folder: RunFolder) -> None:
    folder.create(config, "")
    with folder.locked(), pytest.raises(UserError, match=f"another process .* {folder.path}"):
        folder.locked().__enter__()
    with folder.locked():
        pass


def test_json_is_written_completely_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary.json"
    write_json(path, {"ä": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"bleu": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": 1}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(durable_file.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_json(path, {"ä": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ä": 1}


def test_tensorboard_shows_the_run_folder_and_earlier_runs_keep_theirs(
    tmp_path: Path,
) -> None:
    folder = RunFolder(tmp_path / "run")
    assert folder.tensorboard == folder.path
    (folder.path / "tensorboard").mkdir(parents=True)
    assert folder.tensorboard == folder.path / "tensorboard"
