"""`nmt train -m hydra/sweeper=optuna`: a study, interrupted anywhere and resumed."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nmt import pipeline
from nmt.errors import UserError
from nmt.pipeline import Outcome
from nmt.run.folder import RunFolder
from nmt.sweeps.search_space import split_overrides

Call = Callable[..., Any]

optuna = None
if importlib.util.find_spec("optuna"):
    import optuna
needs_optuna = pytest.mark.skipif(optuna is None, reason="Optuna is not installed: nmt[optuna]")
RATE = "optimizer.learning_rate=tag(log, interval(0.001, 0.1))"
DROPOUT = "model.encoder.dropout=interval(0.0, 0.4)"


@pytest.fixture
def study(nmt: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Search over two settings, in a temporary folder."""
    monkeypatch.chdir(tmp_path)
    given = ["hydra/sweeper=optuna", "hydra.sweep.dir=sweep", RATE, DROPOUT]
    return lambda *more: nmt("train", "-m", *given, *more)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace training by a score that depends on the learning rate; return the rates in order."""
    rates: list[float] = []

    def train(config: Any, *_: Any) -> Outcome:
        rates.append(config.optimizer.learning_rate)
        value = 100 * (1 - config.optimizer.learning_rate)
        scores = {"bleu": value, "chrf": 2.0, "perplexity": 3.0, "signature": "tok:13a"}
        scores["chrf_signature"] = ""
        summary = {"parameters": 1, "tokens": 60, "seconds": 6.0, "valid": scores}
        return Outcome(RunFolder.of(config), summary, already_finished=False)

    monkeypatch.setattr(pipeline, "train", train)
    return rates


def stored(folder: Path) -> list[Any]:
    """Return the trials of the study in a sweep's folder."""
    assert optuna is not None
    storage = f"sqlite:///{folder.resolve() / 'study.db'}"
    return optuna.load_study(study_name="nmt", storage=storage).trials


def rows(folder: Path) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = json.loads((folder / "table.json").read_text())["rows"]
    return written


@needs_optuna
def test_a_study_prints_its_trials_best_first(
    study: Call, trials: list[float], tmp_path: Path
) -> None:
    result = study("hydra.sweeper.n_trials=4", "hydra.sweeper.n_startup_trials=2")
    assert result.status == 0, result.err
    found = stored(tmp_path / "sweep")
    assert [trial.number for trial in found] == [0, 1, 2, 3]
    assert [trial.params["optimizer.learning_rate"] for trial in found] == trials
    table = rows(tmp_path / "sweep")
    assert [row["score"] for row in table] == sorted((t.value for t in found), reverse=True)
    best = max(found, key=lambda trial: trial.value)
    assert f"best trial {best.number}: validation bleu {best.value:.2f}" in result.out
    assert f"optimizer.learning_rate={best.params['optimizer.learning_rate']}" in result.out
    assert all(0.001 <= rate <= 0.1 for rate in trials)
    assert len(set(trials)) == 4


@needs_optuna
def test_the_same_command_repeats_no_trial_and_more_trials_continue_the_study(
    study: Call, trials: list[float], tmp_path: Path
) -> None:
    first = study("hydra.sweeper.n_trials=2")
    again = study("hydra.sweeper.n_trials=2")
    assert len(trials) == 2
    assert again.out == first.out[first.out.index("\n| trial") :]
    assert study("hydra.sweeper.n_trials=3").status == 0
    assert len(set(trials)) == len(trials) == 3
    assert len(rows(tmp_path / "sweep")) == 3


@pytest.mark.slow
@needs_optuna
@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_trial_runs_again_with_the_same_number_and_values(
    study: Call,
    trials: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: type[BaseException],
) -> None:
    assert study("hydra.sweep.dir=whole", "hydra.sweeper.n_trials=3").status == 0
    undisturbed = list(trials)
    trials.clear()
    with pytest.MonkeyPatch.context() as cut:
        train = pipeline.train

        def cut_off(config: Any, *more: Any) -> Outcome:
            outcome = train(config, *more)
            if len(trials) == 2:
                raise ending
            return outcome

        cut.setattr(pipeline, "train", cut_off)
        study("hydra.sweeper.n_trials=3")
    assert [trial.state.name for trial in stored(tmp_path / "sweep")][1:] == ["RUNNING"]
    assert study("hydra.sweeper.n_trials=3").status == 0
    assert trials == [*undisturbed[:2], *undisturbed[1:]]
    assert {trial.state.name for trial in stored(tmp_path / "sweep")} == {"COMPLETE"}


@needs_optuna
def test_a_trial_killed_while_its_values_were_drawn_does_not_count(
    study: Call, trials: list[float], tmp_path: Path
) -> None:
    assert optuna is not None
    study("hydra.sweeper.n_trials=2")
    storage = f"sqlite:///{tmp_path / 'sweep' / 'study.db'}"
    optuna.load_study(study_name="nmt", storage=storage).ask()
    assert study("hydra.sweeper.n_trials=3").status == 0
    states = [trial.state.name for trial in stored(tmp_path / "sweep")]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert len(trials) == 3


@pytest.mark.slow
@needs_optuna
@pytest.mark.parametrize("error", [UserError("diverged"), RuntimeError("out of memory")])
def test_a_failed_trial_is_a_row_and_the_study_continues(
    error: Exception,
    study: Call,
    trials: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = pipeline.train

    def fail_once(config: Any, *more: Any) -> Outcome:
        outcome = train(config, *more)
        if len(trials) == 2:
            raise error
        return outcome

    monkeypatch.setattr(pipeline, "train", fail_once)
    result = study("hydra.sweeper.n_trials=4")
    assert result.status == 0, result.err
    table = rows(tmp_path / "sweep")
    assert [row["status"] for row in table] == ["finished"] * 3 + ["failed"]
    assert str(error) in table[-1]["reason"]
    assert f"row 4 failed: {table[-1]['reason']}" in result.out


@needs_optuna
def test_a_study_stops_if_too_many_trials_fail(
    study: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Outcome:
        raise UserError("no room")

    monkeypatch.setattr(pipeline, "train", fail)
    result = study("hydra.sweeper.n_trials=6", "hydra.sweeper.max_failure_rate=0.4")
    assert result.status == 2
    assert (
        "3 of 6 trials failed, above hydra.sweeper.max_failure_rate=0.4; fix the errors above"
        in result.err
    )
    assert [row["status"] for row in rows(tmp_path / "sweep")] == ["failed"] * 3


@needs_optuna
def test_the_study_of_another_search_is_not_changed(study: Call, trials: list[float]) -> None:
    study("hydra.sweeper.n_trials=1")
    result = study("hydra.sweeper.n_trials=2", "seed=7")
    assert result.status == 2
    assert "contains the study of a different search, which differs in " in result.err
    assert "seed=7" in result.err
    assert len(trials) == 1


@needs_optuna
@pytest.mark.parametrize(
    ("override", "distribution", "low", "high", "log"),
    [
        ("a=interval(0,0.4)", "FloatDistribution", 0, 0.4, False),
        ("a=tag(log, interval(1e-4, 1e-2))", "FloatDistribution", 1e-4, 1e-2, True),
        ("a=interval(1,4)", "FloatDistribution", 1, 4, False),
        ("a=int(interval(1,4))", "IntDistribution", 1, 4, False),
        ("a=range(1,4)", "IntDistribution", 1, 3, False),
        ("a=range(2,9,3)", "IntDistribution", 2, 8, False),
    ],
)
def test_ranges_mean_the_same_as_in_hydra(
    override: str, distribution: str, low: float, high: float, log: bool
) -> None:
    space, fixed = split_overrides(OverridesParser.create().parse_overrides(["b=1", override]))
    assert fixed == ["b=1"]
    found = space["a"]
    assert (type(found).__name__, found.low, found.high, found.log) == (
        distribution,
        low,
        high,
        log,
    )


@needs_optuna
def test_lists_are_categorical_and_the_last_override_of_a_key_wins() -> None:
    given = ["a=1,2", "b=choice(x)", "c=interval(0,1)", "c=3"]
    space, fixed = split_overrides(OverridesParser.create().parse_overrides(given))
    assert {key: found.choices for key, found in space.items()} == {"a": ("1", "2")}
    assert fixed == ["b=x", "c=3"]


@needs_optuna
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            ["hydra.sweeper.n_trials=0"],
            "n_trials is 0; it must be an integer of at least 1",
        ),
        (["hydra.sweeper.seed=x"], "hydra.sweeper.seed is x; it must be an integer of at least 0"),
        (["seed=interval(4,2)"], "seed has no valid range: "),
        (["training.dry_run=true"], "training.dry_run=true gives no score to maximize"),
        (["optimizer.nonsense=1,2"], "there is no setting optimizer.nonsense"),
        (["hydra.sweeper.storage=mysql://a@localhost/b"], "cannot open the study in mysql:"),
    ],
)
def test_a_study_that_cannot_run_is_refused(
    more: list[str], reason: str, study: Call, tmp_path: Path
) -> None:
    result = study(*more)
    assert result.status == 2
    assert reason in result.err
    assert "Traceback" not in result.err
    assert not [*tmp_path.rglob("study.db")], "a corrected command would find the wrong study there"


@needs_optuna
def test_the_example_sweep_draws_valid_trials(
    nmt: Call, trials: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = nmt("train", "-m", "sweep=optuna_small", "hydra.sweeper.n_trials=2")
    assert result.status == 0, result.err
    assert "best trial " in result.out
    assert len(set(trials)) == 2


def test_a_search_without_a_range_is_refused() -> None:
    with pytest.raises(UserError, match="has nothing to search"):
        split_overrides(OverridesParser.create().parse_overrides(["a=1", "b=choice(2)"]))


def test_without_optuna_the_message_names_the_extra(
    study: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = study()
    assert result.status == 2
    assert (
        result.err
        == "nmt: hydra/sweeper=optuna needs a current Optuna: pip install 'nmt[optuna]'\n"
    )


@needs_optuna
def test_two_studies_in_one_folder_have_their_own_tables(
    study: Call, trials: list[float], tmp_path: Path
) -> None:
    """A study of another name, to which the refusal of another search points, shares no trial."""

    def shown() -> list[tuple[int, float]]:
        table = json.loads((tmp_path / "sweep" / "table.json").read_text(encoding="utf-8"))
        return sorted((row["trial"], row["score"]) for row in table["rows"])

    assert study("hydra.sweeper.n_trials=3").status == 0
    first = shown()
    assert [number for number, _ in first] == [0, 1, 2]
    other = [f"{RATE.replace('0.1', '0.3')}", "hydra.sweeper.study_name=other"]
    assert study("hydra.sweeper.n_trials=2", "hydra.sweeper.seed=7", *other).status == 0
    assert [number for number, _ in shown()] == [0, 1]
    assert not {score for _, score in shown()} & {score for _, score in first}
    assert study("hydra.sweeper.n_trials=3").status == 0
    assert shown() == first


@needs_optuna
def test_a_study_of_an_earlier_version_keeps_its_rows(
    study: Call, trials: list[float], tmp_path: Path
) -> None:
    """That version did not write the name of the study into the files of its trials."""
    jobs, named = tmp_path / "sweep" / "jobs", "hydra.sweeper.study_name=other"
    assert study("hydra.sweeper.n_trials=2", named).status == 0
    first = rows(tmp_path / "sweep")
    files = sorted(jobs.iterdir())
    for number, file in enumerate(files):
        job = json.loads(file.read_text(encoding="utf-8")) | {"call": "study"}
        (jobs / f"{number}.json").write_text(json.dumps(job), encoding="utf-8")
        file.unlink()
    assert study("hydra.sweeper.n_trials=3", named).status == 0
    table = rows(tmp_path / "sweep")
    assert [row for row in table if row["trial"] < 2] == first
    assert len(table) == len(trials) == 3
    assert sorted(jobs.iterdir())[:2] == files


@needs_optuna
def test_a_study_takes_no_rows_of_another_study(
    study: Call, trials: list[float], tmp_path: Path
) -> None:
    jobs, named = tmp_path / "sweep" / "jobs", "hydra.sweeper.study_name=other"
    assert study("hydra.sweeper.n_trials=1", "hydra.sweeper.seed=7", named).status == 0
    for file in jobs.iterdir():
        file.unlink()
    assert study("hydra.sweeper.n_trials=2").status == 0
    before = {file.name: file.read_text(encoding="utf-8") for file in jobs.iterdir()}
    assert study("hydra.sweeper.n_trials=2", "hydra.sweeper.seed=7", named).status == 0
    assert [row["trial"] for row in rows(tmp_path / "sweep")] == [1]
    assert before.items() <= {f.name: f.read_text(encoding="utf-8") for f in jobs.iterdir()}.items()
