"""Trials of a search that are clearly worse are stopped, and the others continue."""

import importlib.util
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt import pipeline
from nmt.errors import UserError
from nmt.pipeline import Outcome
from nmt.run.folder import RunFolder
from nmt.sweeps.pruning import Pruning, TrialJudge

Call = Callable[..., Any]

needs_optuna = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None, reason="Optuna is not installed: nmt[optuna]"
)


def stored(folder: Path) -> list[Any]:
    import optuna

    storage = f"sqlite:///{folder.resolve() / 'study.db'}"
    return optuna.load_study(study_name="nmt", storage=storage).trials


@pytest.fixture
def search(nmt: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Search over dropout, in a temporary folder."""
    monkeypatch.chdir(tmp_path)
    dropout = "model.encoder.dropout=interval(0.0, 0.4)"
    return lambda *more: nmt(
        "train", "-m", "hydra/sweeper=optuna", "hydra.sweep.dir=sweep", dropout, *more
    )


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> dict[float, list[int]]:
    """Replace training by three validations whose score falls with the dropout."""
    updates: dict[float, list[int]] = {}

    def train(config: Any, text: str, stop: Any, saved: Any, hopeless: Any) -> Outcome:
        dropout = config.model.encoder.dropout
        done = updates.setdefault(dropout, [])
        for update in (100, 200, 300):
            done.append(update)
            if hopeless(update, update / 10 - 10 * dropout) and update < 300:
                return Outcome(RunFolder.of(config), None, already_finished=False)
        scores = {"bleu": 30 - 10 * dropout, "chrf": 2.0, "perplexity": 3.0, "signature": "s"}
        scores["chrf_signature"] = ""
        summary = {"parameters": 1, "tokens": 60, "seconds": 6.0, "valid": scores}
        return Outcome(RunFolder.of(config), summary, already_finished=False)

    monkeypatch.setattr(pipeline, "train", train)
    return updates


@pytest.mark.slow
@needs_optuna
def test_trials_below_the_median_stop_and_the_others_continue(
    search: Call, validated: dict[float, list[int]], tmp_path: Path
) -> None:
    given = ("hydra.sweeper.n_trials=6", "hydra.sweeper.n_startup_trials=6")
    result = search(
        *given, "hydra.sweeper.pruning.startup_trials=2", "hydra.sweeper.pruning.keep_percent=50"
    )
    assert result.status == 0, result.err
    trials = stored(tmp_path / "sweep")
    finished: list[float] = []
    for trial in trials:  # a trial is compared with those that finished before it
        dropout = trial.params["model.encoder.dropout"]
        stops = len(finished) >= 2 and dropout > statistics.median(finished)
        assert trial.state.name == ("PRUNED" if stops else "COMPLETE")
        assert validated[dropout] == ([100] if stops else [100, 200, 300])
        finished += [] if stops else [dropout]
    assert len(finished) < 6
    table = json.loads((tmp_path / "sweep" / "table.json").read_text())["rows"]
    assert [row["status"] for row in table] == ["finished"] * len(finished) + ["pruned"] * (
        6 - len(finished)
    )
    assert all("at update 100" in row["reason"] for row in table[len(finished) :])
    assert "pruned: validation bleu" in result.out
    assert search(*given).status == 0  # nothing is left to do
    assert len(stored(tmp_path / "sweep")) == 6


@pytest.mark.slow
@needs_optuna
@pytest.mark.parametrize("settings", [(), ("keep_percent=50", "warmup_updates=301")])
def test_no_trial_stops_without_pruning_or_before_it_begins(
    settings: tuple[str, ...], search: Call, validated: dict[float, list[int]], tmp_path: Path
) -> None:
    given = ["hydra.sweeper.n_trials=4", "hydra.sweeper.pruning.startup_trials=1"]
    assert search(*given, *(f"hydra.sweeper.pruning.{one}" for one in settings)).status == 0
    assert {trial.state.name for trial in stored(tmp_path / "sweep")} == {"COMPLETE"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep_percent": 0}, "keep_percent is 0; it must be above 0"),
        ({"keep_percent": math.nan}, "keep_percent is nan"),
        ({"startup_trials": 0}, "startup_trials is 0; it must be an integer of at least 1"),
        ({"warmup_updates": 1.5}, r"warmup_updates is 1\.5"),
        ({"percent": 5}, r"there is no hydra\.sweeper\.pruning\.percent; it has keep_percent"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Pruning.of(settings)


@needs_optuna
def test_a_study_that_cannot_be_reached_stops_no_trial(tmp_path: Path) -> None:
    warnings: list[str] = []
    url = f"sqlite:///{tmp_path / 'absent' / 'study.db'}"
    judge = TrialJudge(url, "nmt", 0, Pruning(keep_percent=50), "bleu", warnings.append)
    assert [judge(update, 1.0) for update in (1, 2, 3)] == [False] * 3
    assert judge.reason is None
    (warning,) = warnings
    assert "the study does not get the scores of this trial" in warning


@pytest.mark.slow
@needs_optuna
def test_a_training_that_is_pruned_is_saved_and_not_tested(search: Call, tmp_path: Path) -> None:
    tiny = [
        *("model=rnn", "model.encoder.embedding_size=8", "model.encoder.hidden_size=8"),
        *("model.decoder.embedding_size=8", "model.decoder.hidden_size=8"),
        *(
            "model.decoder.attention.size=8",
            "tokenizer.vocab_size=400",
            "training.precision=float32",
        ),
        *("training.batch_tokens=256", "training.max_updates=2", "training.validate_every=1"),
        *("training.best_metric=perplexity", "optimizer.learning_rate=0.01,0.00001"),
        *("hydra.sweeper.n_trials=3", "hydra.sweeper.pruning.startup_trials=1"),
        "hydra.sweeper.pruning.keep_percent=1",
    ]
    result = search(*tiny)
    assert result.status == 0, result.err
    states = [trial.state.name for trial in stored(tmp_path / "sweep")]
    assert "PRUNED" in states
    assert "COMPLETE" in states
    jobs = [json.loads(path.read_text()) for path in (tmp_path / "sweep" / "jobs").iterdir()]
    for job in jobs:
        folder = RunFolder(tmp_path / job["folder"])
        assert folder.last.exists()
        assert (folder.read_summary() is None) == (job["status"] == "pruned")
