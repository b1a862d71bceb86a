"""A sweep skips the impossible combinations of its grid and names the reason in its table."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nmt import pipeline
from nmt.pipeline import Outcome
from nmt.run.folder import RunFolder

Call = Callable[..., Any]
Tiny = Callable[[Path], list[str]]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """Replace training; the list gets the configuration of each job that trains."""
    configs: list[Any] = []

    def train(config: Any, *_: Any) -> Outcome:
        configs.append(config)
        scores = {"bleu": 1.0, "chrf": 2.0, "perplexity": 3.0, "signature": "tok:13a"}
        return Outcome(
            RunFolder.of(config),
            {"valid": {**scores, "chrf_signature": ""}},
            already_finished=False,
        )

    monkeypatch.setattr(pipeline, "train", train)
    monkeypatch.chdir(tmp_path)
    return configs


def table(folder: Path) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = json.loads((folder / "table.json").read_text())["rows"]
    return rows


def sweep(nmt: Call, *arguments: str) -> Any:
    return nmt("train", "-m", "hydra.sweep.dir=table", *arguments)


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_what_cannot_be_composed_is_skipped_and_the_others_run(
    nmt: Call, trained: list[Any], tmp_path: Path, batch: int | None
) -> None:
    grid = ["model=transformer,rnn", "model/decoder/attention=luong_dot,none"]
    limit = [] if batch is None else [f"hydra.sweeper.max_batch_size={batch}"]
    result = sweep(nmt, *grid, *limit, "training.max_updates=7")
    assert result.status == 0, result.err
    assert [config.model.decoder.attention.name for config in trained] == ["luong_dot", "none"]
    assert all(config.training.max_updates == 7 for config in trained)
    rows = table(tmp_path / "table")
    assert [row["status"] for row in rows] == ["skipped", "skipped", "finished", "finished"]
    reason = "model/decoder/attention belongs to model/decoder=rnn"
    assert reason in rows[0]["reason"]
    assert reason in result.err
    assert result.err.count("\n") == 1, "one line for one reason"
    assert f"rows 1, 2 skipped: {reason}" in result.out


def test_a_choice_below_a_swept_group_is_skipped_where_it_does_not_exist(
    nmt: Call, trained: list[Any], tmp_path: Path
) -> None:
    result = sweep(nmt, "model/decoder/attention=luong_dot", "model=transformer,rnn")
    assert result.status == 0, result.err
    assert [config.model.decoder.attention.name for config in trained] == ["luong_dot"]
    assert [row["status"] for row in table(tmp_path / "table")] == ["skipped", "finished"]


def test_a_setting_that_some_jobs_do_not_have_skips_them(
    nmt: Call, trained: list[Any], tmp_path: Path
) -> None:
    result = sweep(nmt, "optimizer=sgd,adam", "optimizer.beta1=0.8")
    assert result.status == 0, result.err
    (config,) = trained
    assert (config.optimizer.name, config.optimizer.beta1) == ("adam", 0.8)
    first, _ = table(tmp_path / "table")
    assert first["status"] == "skipped"
    assert "optimizer.beta1 belongs to optimizer=adam" in first["reason"]


def test_settings_that_exclude_each_other_are_skipped_and_bad_values_fail(
    nmt: Call, trained: list[Any], tmp_path: Path
) -> None:
    grid = ["model=rnn", "model/decoder/attention=none,bahdanau", "model.decoder.bridge=tanh,zero"]
    result = sweep(nmt, *grid)
    assert result.status == 0, result.err
    statuses = [row["status"] for row in table(tmp_path / "table")]
    assert statuses == ["finished", "skipped", "finished", "finished"]
    assert "row 2 skipped: model.decoder.bridge=zero with attention=none" in result.out
    assert sweep(nmt, "training.max_updates=0,5").status == 2
    assert [row["status"] for row in table(tmp_path / "table")] == ["failed", "finished"]
    assert sweep(nmt, "data.source_language=German,en").status == 2
    assert [row["status"] for row in table(tmp_path / "table")] == ["failed", "finished"]


@pytest.mark.usefixtures("trained")
def test_a_typo_is_refused_at_once(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "optimizer=adem" in refused("train", "-m", "optimizer=adam,adem")
    assert "did you mean" in refused("train", "-m", "seed=1,2", "model.encoder.drop_out=0.1")
    assert list(tmp_path.iterdir()) == []


NAMES = (
    *("none", "bahdanau", "luong_dot", "luong_general", "luong_concat", "luong_location"),
    *("luong_local_m", "luong_local_p", "cosine", "transformer"),
)


@pytest.mark.slow
@pytest.mark.parametrize("spelling", ["sweep", "compare"])
def test_one_command_compares_all_attentions(
    nmt: Call, trained: list[Any], tmp_path: Path, spelling: str
) -> None:
    result = nmt("train", "-m", f"{spelling}=attention", "training.max_updates=9")
    assert result.status == 0, result.err
    (folder,) = (tmp_path / "runs" / "sweeps").iterdir()
    assert folder.name.startswith("attention-")
    rows = table(folder)
    assert [row["overrides"]["experiment"] for row in rows] == [f"attention_{n}" for n in NAMES]
    budgets = {(c.training.max_updates, c.training.batch_tokens, c.data.name) for c in trained}
    assert len(budgets) == 1, "the rows have different budgets"
    kinds = [getattr(config.model.decoder, "attention", None) for config in trained]
    assert [kind and (kind.name, getattr(kind, "window", "-")) for kind in kinds] == [
        ("none", "-"),
        ("bahdanau", "global"),
        *((f"luong_{score}", "global") for score in ("dot", "general", "concat", "location")),
        *(("luong_general", f"local_{window}") for window in "mp"),
        ("cosine", "global"),
        None,
    ]


@pytest.mark.slow
def test_rows_of_the_comparison_without_a_setting_are_skipped(
    nmt: Call, trained: list[Any], tmp_path: Path
) -> None:
    result = sweep(nmt, "sweep=attention", "model.decoder.attention.window_size=3")
    assert result.status == 0, result.err
    statuses = [row["status"] for row in table(tmp_path / "table")]
    assert statuses == ["skipped", *["finished"] * 8, "skipped"]
    assert all(config.model.decoder.attention.window_size == 3 for config in trained)


def test_a_comparison_without_m_names_the_flag(refused: Callable[..., str]) -> None:
    assert "sweep=attention trains several models: add -m" in refused("train", "compare=attention")


@pytest.mark.slow
def test_the_comparison_trains_any_data_draws_its_curves_and_resumes(
    nmt: Call, corpus: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = [given for given in tiny(corpus) if not given.startswith("model")]
    command = [*settings, "sweep=attention", "training.validate_every=1", "training.save_every=1"]
    first = sweep(nmt, *command)
    assert first.status == 0, first.err
    rows = table(tmp_path / "table")
    assert len(rows) == len(NAMES)
    for row in rows:
        summary = json.loads((tmp_path / row["folder"] / "summary.json").read_text())
        assert row["valid_bleu"] == summary["valid"]["bleu"]
        assert row["bleu"] == summary["test"]["bleu"]
    picture = tmp_path / "table" / "curves.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(Path("table") / "curves.png") in first.out
    (tmp_path / rows[3]["folder"] / "summary.json").unlink()  # as if it had been killed
    picture.unlink()
    again = sweep(nmt, *command)
    assert again.status == 0, again.err
    assert again.out.count("is finished; nothing was changed") == len(NAMES) - 1
    assert picture.exists()
