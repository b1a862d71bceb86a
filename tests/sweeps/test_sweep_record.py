"""`nmt train -m`: a table of all jobs, finished or not; repeating the sweep reproduces it."""

import json
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.core_plugins import basic_launcher
from hydra._internal.hydra import Hydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus

from nmt import pipeline
from nmt.errors import UserError
from nmt.pipeline import Outcome
from nmt.run.folder import RunFolder
from nmt.sweeps.sweep_overrides import sweep_name

Call = Callable[..., Any]
Tiny = Callable[[Path], list[str]]


@pytest.fixture
def sweep(
    nmt: Call, corpus: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Sweep tiny models in a temporary folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *more: nmt("train", "-m", *tiny(corpus), "hydra.sweep.dir=table", *more)


def table(text: str) -> str:
    return text[text.index("| ") : text.index("sweep folder")].strip()


def test_a_sweep_ends_in_a_table_and_a_repetition_in_the_same(sweep: Call, tmp_path: Path) -> None:
    first = sweep("seed=1,2")
    assert first.status == 0, first.err
    written = (tmp_path / "table" / "table.md").read_text(encoding="utf-8")
    assert table(first.out) == written.strip()
    plain = json.loads((tmp_path / "table" / "table.json").read_text(encoding="utf-8"))
    assert [row["overrides"]["seed"] for row in plain["rows"]] == ["1", "2"]
    for row in plain["rows"]:
        summary = json.loads((tmp_path / row["folder"] / "summary.json").read_text())
        assert (row["bleu"], row["parameters"]) == (summary["test"]["bleu"], summary["parameters"])
        config = json.loads((tmp_path / row["folder"] / "config.json").read_text())
        assert config["seed"] == int(row["overrides"]["seed"])
        assert row["tokens_per_second"] > summary["tokens"] / summary["seconds"]
    again = sweep("seed=1,2")
    assert again.out.count("is finished; nothing was changed") == 2
    assert table(again.out) == table(first.out)


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that replaces training: it sets how the jobs of some seeds end."""

    def by_seed(**endings: Callable[[], None]) -> None:
        def train(
            config: Any,
            _: str,
            interrupted: Callable[[], bool],
            saved: Callable[[], AbstractContextManager[None]],
        ) -> Outcome:
            with saved():
                endings.get(f"seed_{config.seed}", lambda: None)()
            scores = {"bleu": 1.0, "chrf": 2.0, "perplexity": 3.0, "signature": "tok:13a"}
            summary = {
                "parameters": config.seed,
                "tokens": 60,
                "seconds": 6.0,
                "valid": {**scores, "chrf_signature": ""},
            }
            return Outcome(RunFolder.of(config), None if interrupted() else summary, False)

        monkeypatch.setattr(pipeline, "train", train)

    return by_seed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("data.root=folder", "folder"),  # what Hydra composes before the jobs has no data.root
        ("data.root=/a/b-c_d.e", "/a/b-c_d.e"),
        ("data.cache_dir=with blanks", "with blanks"),
        ("data.cache_dir='a,b'", "a,b"),
        ("data.cache_dir=naïve=x", "naïve=x"),
        ("data.cache_dir=${data.name}", "huggingface"),
        ("data.cache_dir=null", None),
    ],
)
def test_a_setting_reaches_the_jobs_of_a_sweep_unchanged(
    given: str,
    value: str | None,
    nmt: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    found = []

    def train(config: Any, *_: Any) -> Outcome:
        found.append(getattr(config.data, given.partition("=")[0].removeprefix("data.")))
        raise UserError("that is all")

    monkeypatch.setattr(pipeline, "train", train)
    nmt("train", "-m", "experiment=multi30k_rnn,luong2015_none", given)
    assert found == [value, value]


def statuses(folder: Path) -> list[str]:
    written = json.loads((folder / "table" / "table.json").read_text(encoding="utf-8"))
    return [row["status"] for row in written["rows"]]


def test_a_failed_job_is_a_row_and_the_other_jobs_run(
    sweep: Call, ending: Call, tmp_path: Path
) -> None:
    ending()
    result = sweep("seed=-1,1")
    assert result.status == 2
    assert "seed is -1" in result.err
    rows = [line.split() for line in table(result.out).splitlines() if line.startswith("| ")]
    assert [(row[1], row[3]) for row in rows[2:]] == [("-1", "failed"), ("1", "3.00")]
    assert statuses(tmp_path) == ["failed", "finished"]


def test_a_crash_still_writes_the_table(sweep: Call, ending: Call, tmp_path: Path) -> None:
    def crash() -> None:
        raise RuntimeError("out of memory")

    ending(seed_1=crash)
    with pytest.raises(RuntimeError, match="out of memory"):
        sweep("seed=1,2")
    assert statuses(tmp_path) == ["failed", "finished"]


def test_an_interrupted_sweep_prints_the_finished_jobs(
    sweep: Call, ending: Call, tmp_path: Path
) -> None:
    ending(seed_2=lambda: signal.raise_signal(signal.SIGINT))
    result = sweep("seed=1,2,3")
    assert result.status == 75
    assert statuses(tmp_path) == ["finished", "interrupted"]
    assert "interrupted" in table(result.out)


def test_ctrl_c_twice_prints_the_finished_jobs(sweep: Call, ending: Call, tmp_path: Path) -> None:
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    ending(seed_2=interrupt)
    assert sweep("seed=1,2,3").status == 130
    assert statuses(tmp_path) == ["finished", "interrupted"]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each job in its own process, which returns nothing to the launching one."""
    Plugins.instance()  # imports the module again on first use, which would undo the patch
    run_job = basic_launcher.run_job

    def fork(**arguments: Any) -> JobReturn:
        process = os.fork()
        if process == 0:
            try:
                run_job(**arguments)
            finally:
                os._exit(0)
        os.waitpid(process, 0)
        return JobReturn(status=JobStatus.COMPLETED)

    monkeypatch.setattr(basic_launcher, "run_job", fork)


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_jobs_of_other_processes_appear_in_the_table(
    sweep: Call, ending: Call, tmp_path: Path
) -> None:
    def fail() -> None:
        raise UserError("no room on the disk")

    ending(seed_2=fail, seed_3=lambda: os.kill(os.getpid(), signal.SIGKILL))
    result = sweep("seed=1,2,3,4")
    assert result.status == 2
    assert statuses(tmp_path) == ["finished", "failed", "killed", "finished"]
    assert "row 2 failed: no room on the disk" in result.out
    rows = [line.split() for line in table(result.out).splitlines() if line.startswith("| ")]
    assert [row[3] for row in rows[2:]] == ["3.00", "failed", "killed", "3.00"]


@pytest.mark.usefixtures("elsewhere")
def test_a_table_shows_only_the_jobs_of_this_call(
    sweep: Call, ending: Call, tmp_path: Path
) -> None:
    ending()
    sweep("seed=1,2")
    result = sweep("seed=3")
    assert result.status == 0, result.err
    written = json.loads((tmp_path / "table" / "table.json").read_text(encoding="utf-8"))
    assert [row["overrides"]["seed"] for row in written["rows"]] == ["3"]


def test_a_dry_run_leaves_no_row(sweep: Call, tmp_path: Path, ending: Call) -> None:
    folder = RunFolder(tmp_path / "run")
    ending()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pipeline, "train", lambda *_: Outcome(folder, None, False, rehearsal=["all is well"])
        )
        result = sweep("seed=1,2", "training.dry_run=true")
    assert result.status == 0, result.err
    assert result.out == "all is well\nall is well\n"


def test_the_same_command_has_the_same_folder(
    nmt: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: Call
) -> None:
    monkeypatch.chdir(tmp_path)
    ending()
    for _ in range(2):
        assert nmt("train", "-m", "seed=1,2").status == 0
    (folder,) = (tmp_path / "runs" / "sweeps").iterdir()
    assert folder.name == sweep_name(["seed=1,2"])


def test_the_name_of_a_sweep_depends_only_on_what_is_trained() -> None:
    name = sweep_name(["model=rnn", "optimizer.learning_rate=interval(0,1)"])
    assert name.startswith("learning_rate-")
    assert sweep_name(["optimizer.learning_rate=interval(0,1)", "model=rnn"]) == name
    given = ["model=rnn", "optimizer.learning_rate=interval(0,1)"]
    for same in ("hydra/launcher=joblib", "hydra.launcher.n_jobs=3", "hydra.sweeper.n_trials=9"):
        assert sweep_name([*given, same]) == name
    for other in ("seed=2", "hydra/sweeper=optuna", "hydra.sweeper.seed=3"):
        assert sweep_name([*given, other]) != name


def test_a_single_run_is_composed_once_and_hydra_mode_still_makes_a_sweep(
    nmt: Call,
    corpus: Path,
    tiny: Tiny,
    ending: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    composed, compose = [], Hydra.compose_config
    monkeypatch.setattr(
        Hydra, "compose_config", lambda *a, **k: composed.append(1) or compose(*a, **k)
    )
    monkeypatch.chdir(tmp_path)
    ending()
    nmt("train", *tiny(corpus), "run.dir=single")
    assert len(composed) == 1
    sweep = nmt("train", *tiny(corpus), "hydra.mode=MULTIRUN", "seed=1,2", "hydra.sweep.dir=table")
    assert "sweep folder" in sweep.out
    assert (tmp_path / "table").is_dir()


def test_a_single_run_has_no_table(nmt: Call, run: Path, tiny: Tiny) -> None:
    result = nmt("train", *tiny(run.parent / "corpus"), f"run.dir={run}")
    assert result.status == 0, result.err
    assert "|  " not in result.out
    assert "sweep" not in result.out
