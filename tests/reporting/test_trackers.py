"""Trackers: what they record, that a resumed run repeats no record, and that they harm no run."""

import json
import sys
from collections.abc import Callable, Sequence
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
    return identifier(folder, name)


def identifier(folder: Path, name: str) -> str:
    """Return the identifier of the run in a tracker."""
    states = json.loads((folder / "trackers.json").read_text(encoding="utf-8"))
    found: str = states[name]["identifier"]
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


def points(name: str, made: list[tuple[str, Any, Any]]) -> list[tuple[int, str]]:
    """Return the update and the name of each record that a tracker's module was given."""
    if name == "mlflow":
        metrics = [given for call, given, _ in made if call == "mlflow.entities.Metric"]
        files = [
            str(named.get("artifact_file") or given[-1])
            for call, given, named in made
            if call.endswith((".log_text", ".log_image"))
        ]
        paths = [Path(file) for file in files]
        return [
            *((step, metric) for metric, _, _, step in metrics),
            *((int(path.stem), str(path.parent)) for path in paths),
        ]
    logged = [
        (named.get("step", given[0].get("update")), given[0])
        for call, given, named in made
        if call == f"{name}.init.log"
    ]
    return [(step, metric) for step, values in logged for metric in values if metric != "update"]


def interrupted(folder: Path, name: str, updates: Sequence[int]) -> None:
    """Record updates of a run that is killed afterwards; it has a checkpoint of update 40."""
    run = TrackedRun("mine", "project", folder, SETTINGS)
    warnings: list[str] = []
    resumed = updates[0] > 20
    (log,) = open_trackers([name], run, resumed=resumed, report=warnings.append)
    for update in updates:
        log.scalars(update, {"train/loss": 2.5})
        if update % 40 == 0:
            log.scalars(update, {"valid/loss": 3.0})
            log.best(update, {"valid/bleu": 20.0})
            log.text(update, "samples", "| a | b |\n|---|---|\n| c | d |")
            log.heatmap(update, "attention/0", HEATMAP)
        log.flush()
    assert warnings == []


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_records_no_update_twice(
    name: str, tmp_path: Path, fake: Callable[[str], list[tuple[str, Any, Any]]]
) -> None:
    """It repeats the updates after its last checkpoint."""
    made = fake(name)
    for updates in ([20, 40, 60, 80, 100], [60, 80], [60, 80, 100, 120]):
        interrupted(tmp_path, name, updates)
    validated = "best/valid_bleu", "valid/loss", "samples", "attention/0"
    assert sorted(points(name, made)) == sorted(
        [
            *((update, "train/loss") for update in range(20, 121, 20)),
            *((update, one) for update in (40, 80, 120) for one in validated),
        ]
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_tracker_that_is_added_later_records_every_update_from_there(
    name: str, tmp_path: Path, fake: Callable[[str], list[tuple[str, Any, Any]]]
) -> None:
    first = NAMES[NAMES.index(name) - 1]
    fake(first)
    interrupted(tmp_path, first, [20, 40, 60])
    made = fake(name)
    interrupted(tmp_path, name, [60, 80])
    assert [step for step, metric in points(name, made) if metric == "train/loss"] == [60, 80]


def test_a_run_of_an_earlier_version_continues_its_record(
    tmp_path: Path, fake: Callable[[str], list[tuple[str, Any, Any]]]
) -> None:
    """Its file has only the identifier."""
    made = fake("wandb")
    (tmp_path / "trackers.json").write_text('{"wandb": "earlier"}', encoding="utf-8")
    interrupted(tmp_path, "wandb", [60, 80])
    assert identifier(tmp_path, "wandb") == "earlier"
    assert [named["id"] for call, _, named in made if call == "wandb.init"] == ["earlier"]
    assert (60, "train/loss") in points("wandb", made)


@pytest.mark.parametrize("content", ["", "[1]", '{"wandb": 3}', '{"wandb": {"identifier": 3}}'])
def test_a_damaged_file_begins_a_new_record(
    content: str, tmp_path: Path, fake: Callable[[str], list[tuple[str, Any, Any]]]
) -> None:
    made = fake("wandb")
    (tmp_path / "trackers.json").write_text(content, encoding="utf-8")
    interrupted(tmp_path, "wandb", [60])
    assert points("wandb", made) == [(60, "train/loss")]
    assert len(identifier(tmp_path, "wandb")) == 16


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
    assert [point.step for point in client.get_metric_history(first, "train/loss")] == [10]
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
    assert [row["train/loss"] for row in rows if "train/loss" in row] == [2.5]
