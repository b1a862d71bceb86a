"""Trackers: what they record, that a resumed run continues theirs, and that they harm no run."""

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nmt.config.schema import TrackerName
from nmt.errors import UserError
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLog
from nmt.reporting.trackers import safe_log
from nmt.reporting.trackers.safe_log import check_trackers, open_trackers
from nmt.reporting.trackers.tracked_run import TrackedRun

HEATMAP = Heatmap(np.eye(2), ["a", "b"], ["c", "d"])
SETTINGS = {"model": {"name": "rnn"}, "model.name": "rnn", "seed": 1, "none": None, "freeze": []}
NAMES = [name.value for name in TrackerName]


def needs(name: str) -> pytest.MarkDecorator:
    missing = find_spec(name) is None
    return pytest.mark.skipif(missing, reason=f"needs pip install 'nmt[{name}]'")


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every tracker write to the temporary folder, and none read the settings of a user."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'mlruns'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for name in ("WANDB_MODE", "WANDB_ERROR_REPORTING", "WANDB_SILENT", "WANDB_PROJECT"):
        monkeypatch.setenv(name, "")  # restored afterwards, though the tracker sets it
        monkeypatch.delenv(name)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)


def record(name: str, folder: Path, *, resumed: bool = False) -> str:
    """Record a run as training does, and return its identifier in the tracker."""
    run = TrackedRun("mine", "project", folder, SETTINGS)
    warnings: list[str] = []
    (log,) = open_trackers([name, name], run, resumed=resumed, report=warnings.append)
    log.scalars(10, {"train/loss": 2.5, "train/gradient_norm": 1.0})
    log.text(10, "samples", "| a | b |\n|---|---|\n| <b> | d |")
    log.heatmap(10, "attention/0", HEATMAP)
    log.best(10, {"valid/bleu": 20.0})
    log.flush()
    log.finished(20, {"test/bleu": 21.0})
    log.close()
    log.close()
    assert warnings == []
    found: str = json.loads((folder / "trackers.json").read_text(encoding="utf-8"))[name]
    return found


class Calls(ModuleType):
    """A module of a tracker that records its calls; each call returns another such object."""

    def __init__(self, name: str, made: list[tuple[str, Any, Any]]) -> None:
        super().__init__(name)
        self.__dict__["made"] = made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Calls(f"{self.__name__}.{name}", self.made)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.made.append((self.__name__, arguments, named))
        return Calls(self.__name__, self.made)

    def __str__(self) -> str:
        return "identifier"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[tuple[str, Any, Any]]]:
    """Put a recording module in place of a tracker's; return its calls."""

    def install(name: str) -> list[tuple[str, Any, Any]]:
        made: list[tuple[str, Any, Any]] = []
        for module in (name, f"{name}.entities", f"{name}.tracking"):
            monkeypatch.setitem(sys.modules, module, Calls(module, made))
        return made

    return install


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_resumed_run_continues_the_run_of_the_tracker(
    name: str, tmp_path: Path, fake: Callable[[str], list[tuple[str, Any, Any]]]
) -> None:
    made = fake(name)
    first = record(name, tmp_path)
    assert record(name, tmp_path, resumed=True) == first
    assert record(name, tmp_path) != first  # a run that begins again is another run
    started = [named for call, _, named in made if call == f"{name}.init"]
    key = {"wandb": "id", "trackio": "name"}[name]
    assert [named[key] == first for named in started] == [True, True, False]
    assert all(named["resume"] == "allow" for named in started)
    assert started[0]["config"] == {"model.name": "rnn", "seed": 1, "freeze": []}
    logged = [arguments[0] for call, arguments, _ in made if call.endswith("init.log")]
    assert any(values.get("best/test_bleu") == 21.0 for values in logged)


class Failing:
    """A tracker whose server is away from the second call on."""

    identifier = "1"
    error: type[BaseException] = ConnectionError

    def __init__(self, run: TrackedRun) -> None:
        self.calls = 0

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*_: Any) -> None:
            self.calls += 1
            if self.calls > 1:
                raise self.error("the server\nis away")

        return call


@pytest.mark.parametrize("error", [ConnectionError, SystemExit])
def test_a_tracker_that_fails_is_dropped_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    tracker: Any = Failing(TrackedRun("mine", "project", tmp_path, {}))
    tracker.error = error
    monkeypatch.setattr(safe_log, "_open", lambda name, run: tracker)
    warnings: list[str] = []
    run = TrackedRun("mine", "project", tmp_path, {})
    (log,) = open_trackers(["wandb"], run, resumed=False, report=warnings.append)
    for step in range(5):
        log.scalars(step, {"loss": 1.0})
    log.finished(5, {})
    log.close()
    assert warnings == [
        "warning: wandb failed and records nothing more; the run continues: the server is away"
    ]
    assert tracker.calls == 2


def test_a_tracker_that_cannot_be_opened_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: TrackerName, run: TrackedRun) -> MetricLog:
        raise ConnectionError("no server")

    monkeypatch.setattr(safe_log, "_open", refuse)
    warnings: list[str] = []
    run = TrackedRun("mine", "project", tmp_path, {})
    assert open_trackers(["mlflow"], run, resumed=False, report=warnings.append) == []
    (warning,) = warnings
    assert "no server" in warning


def test_a_missing_package_is_refused_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_log, "find_spec", lambda name: None)
    for name in NAMES:
        with pytest.raises(UserError, match=rf"{name}, which is not .* 'nmt\[{name}\]'"):
            check_trackers([name])
    both = r"mlflow and wandb, which are not .* 'nmt\[mlflow,wandb\]'"
    with pytest.raises(UserError, match=both):
        check_trackers(["mlflow", "wandb", "mlflow"])
    check_trackers([])


@needs("mlflow")
def test_mlflow_has_the_metrics_settings_and_files_of_a_run(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    first = record("mlflow", tmp_path)
    assert record("mlflow", tmp_path, resumed=True) == first
    client = MlflowClient()
    run = client.get_run(first)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "mine"
    assert client.get_experiment(run.info.experiment_id).name == "project"
    assert run.data.params == {"model.name": "rnn", "seed": "1", "freeze": "[]"}
    assert run.data.metrics["train/loss"] == 2.5
    assert run.data.metrics["best/test_bleu"] == 21
    assert [point.step for point in client.get_metric_history(first, "train/loss")] == [10, 10]
    assert {file.path for file in client.list_artifacts(first)} == {"attention", "samples"}


@needs("wandb")
def test_wandb_writes_an_offline_run_into_the_run_folder(tmp_path: Path) -> None:
    first = record("wandb", tmp_path)
    assert record("wandb", tmp_path, resumed=True) == first
    files = list(tmp_path.glob(f"wandb/offline-run-*-{first}/run-{first}.wandb"))
    assert files
    assert b"train/loss" in files[0].read_bytes()


@needs("trackio")
def test_trackio_has_the_metrics_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import trackio.sqlite_storage as storage

    first = record("trackio", tmp_path)
    assert record("trackio", tmp_path, resumed=True) == first
    rows = storage.SQLiteStorage.get_logs("project", first)
    assert {row["step"] for row in rows} == {10, 20}
    assert [row["train/loss"] for row in rows if "train/loss" in row] == [2.5, 2.5]
