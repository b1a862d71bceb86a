"""scripts/results: docs/results.md and README's table are made from records of run folders."""

import json
import re
import shlex
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.sweeps.overrides import compose_config

ROOT = Path(__file__).resolve().parents[2]
Nmt = Callable[..., Any]
Results = Callable[..., str]


@pytest.fixture(scope="module")
def runs(nmt: Nmt, run: Path, tiny: Callable[[Path], list[str]]) -> list[Path]:
    """The runs of two seeds; the second has a limit of time that it does not reach."""
    folders = [run.parent / "recorded" / str(seed) for seed in (1, 2)]
    for seed, folder in enumerate(folders, start=1):
        settings = [*tiny(run.parent / "corpus"), f"seed={seed}", f"run.dir={folder}"]
        settings += [] if seed == 1 else ["training.max_minutes=60"]
        assert nmt("train", *settings).status == 0
    return folders


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder with a README that has the marks, and a folder of records."""
    (tmp_path / "docs").mkdir()
    marks = "<!-- scripts/results writes this part -->\n<!-- end of that part -->\n"
    (tmp_path / "README.md").write_text(f"before\n{marks}after\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def results(
    load_script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, pages: Path
) -> Results:
    """Call the script on the folder of pages; return its error message."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    script = load_script("results")

    def call(*arguments: object) -> str:
        places = ["--root", pages, "--records", pages / "records"]
        monkeypatch.setattr(sys, "argv", ["results", *map(str, [*places, *arguments])])
        try:
            script.main()
        except SystemExit as ending:
            return str(ending)
        return ""

    return call


def _record(pages: Path) -> dict[str, Any]:
    (path,) = (pages / "records").glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_a_folder_without_a_readme_is_refused(results: Results, pages: Path) -> None:
    (pages / "README.md").unlink()
    for arguments in (["write"], ["write", "--check"]):
        assert f"there is no {pages / 'README.md'}; --root names" in results(*arguments)


def test_the_pages_of_this_repository_are_those_of_its_records(
    load_script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    monkeypatch.setattr(sys, "argv", ["results", "write", "--check"])
    load_script("results").main()  # exits with a message otherwise


def test_seeds_of_one_configuration_are_one_row_with_their_mean(
    results: Results, runs: list[Path], pages: Path
) -> None:
    assert results("add", *runs, "--commit", "1a2b3c4") == ""
    record = _record(pages)
    assert [run["seed"] for run in record["runs"]] == [1, 2]
    summaries = [json.loads((run / "summary.json").read_text()) for run in runs]
    page = (pages / "docs" / "results.md").read_text(encoding="utf-8")
    chrf = [summary["test"]["chrf"] for summary in summaries]
    (row,) = [
        line for line in page.splitlines() if "`nmt train data=files" in line and "| 2 |" in line
    ]
    assert f"| {statistics.mean(chrf):.2f} |" in row
    assert summaries[0]["test"]["signature"] in page
    for path in (pages / "docs" / "results.md", *(pages / "records").iterdir()):
        assert str(runs[0].parents[2]) not in path.read_text(encoding="utf-8")
        assert "run.dir" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("stopped_by", "rows"), [("max_updates", 1), ("max_minutes", 2)])
def test_a_limit_of_time_makes_another_row_only_if_it_ended_a_run(
    results: Results, runs: list[Path], pages: Path, stopped_by: str, rows: int
) -> None:
    timed = pages / "timed"
    shutil.copytree(runs[1], timed)
    summary = timed / "summary.json"
    content = json.loads(summary.read_text(encoding="utf-8"))
    assert content["stopped_by"] == "max_updates"
    summary.write_text(json.dumps(content | {"stopped_by": stopped_by}), encoding="utf-8")
    assert results("add", runs[0], timed) == ""
    assert len(list((pages / "records").glob("*.json"))) == rows


def test_a_run_that_is_added_again_replaces_itself(
    results: Results, runs: list[Path], pages: Path
) -> None:
    assert results("add", runs[0]) == ""
    before = _record(pages)
    assert results("add", runs[0]) == ""
    assert _record(pages) == before
    assert results("add", runs[0], "--note", "measured again") == ""
    assert _record(pages)["earlier"] == []


def test_the_figures_of_a_replaced_run_are_kept(
    results: Results, runs: list[Path], pages: Path
) -> None:
    assert results("add", runs[0]) == ""
    (path,) = (pages / "records").iterdir()
    record = json.loads(path.read_text(encoding="utf-8"))
    record["runs"][0] |= {"version": "0.0.1", "seconds": 600}
    path.write_text(json.dumps(record), encoding="utf-8")
    assert results("add", runs[0]) == ""
    record = _record(pages)
    assert [run["version"] for run in record["earlier"]] == ["0.0.1"]
    page = (pages / "docs" / "results.md").read_text(encoding="utf-8")
    assert re.search(r"earlier: .*10 minutes, 0\.0\.1", page)


def test_no_run_is_in_a_record_twice(results: Results, runs: list[Path], pages: Path) -> None:
    """A run that is added again, with less known about it, is still the same run."""
    rerun = pages / "rerun"
    shutil.copytree(runs[0], rerun)
    summary = json.loads((rerun / "summary.json").read_text(encoding="utf-8"))
    changed = json.dumps(summary | {"seconds": summary["seconds"] + 60})
    (rerun / "summary.json").write_text(changed, encoding="utf-8")
    for run in (runs[0], rerun, runs[0], rerun, runs[0]):
        assert results("add", run) == ""
    record = _record(pages)
    assert [run["seconds"] for run in record["runs"]] == [summary["seconds"]]
    assert [run["seconds"] for run in record["earlier"]] == [summary["seconds"] + 60]
    del record["runs"][0]["commit"]
    (path,) = (pages / "records").iterdir()
    path.write_text(json.dumps(record), encoding="utf-8")
    assert results("add", runs[0], "--commit", "1a2b3c4") == ""
    known = summary.get("commit") or "1a2b3c4"
    assert [run["commit"] for run in _record(pages)["runs"]] == [known]
    assert len(_record(pages)["earlier"]) == 1


def test_an_older_run_does_not_replace_a_newer_one(
    results: Results, runs: list[Path], pages: Path
) -> None:
    old = pages / "old"
    shutil.copytree(runs[0], old)
    summary = json.loads((old / "summary.json").read_text(encoding="utf-8"))
    changed = summary | {"finished": "2001-02-03T00:00:00+00:00", "nmt": "0.0.1"}
    (old / "summary.json").write_text(json.dumps(changed), encoding="utf-8")
    assert results("add", runs[0], old) == ""
    record = _record(pages)
    assert [run["date"] for run in record["runs"]] == [summary["finished"][:10]]
    assert [run["version"] for run in record["earlier"]] == ["0.0.1"]


def test_runs_of_different_text_are_no_seeds_of_one_row(
    results: Results, nmt: Nmt, runs: list[Path], pages: Path, tiny: Callable[[Path], list[str]]
) -> None:
    """The paths of a machine are not in a row's command, but the text in the files counts."""
    assert results("add", runs[0]) == ""
    corpus = runs[0].parents[1] / "corpus"
    for name, rows in (("same", 1), ("other", 2)):
        copy = pages / name
        shutil.copytree(corpus, copy)
        if name == "other":
            for side in ("en", "de"):
                lines = (copy / f"train.{side}").read_text(encoding="utf-8").splitlines()
                (copy / f"train.{side}").write_text("\n".join(lines[:90]) + "\n", encoding="utf-8")
        folder = pages / f"run-{name}"
        assert nmt("train", *tiny(copy), "seed=2", f"run.dir={folder}").status == 0
        assert results("add", folder) == ""
        assert len(list((pages / "records").glob("*.json"))) == rows


def test_a_page_that_was_changed_by_hand_is_found(
    results: Results, runs: list[Path], pages: Path
) -> None:
    assert results("add", runs[0]) == ""
    assert results("write", "--check") == ""
    readme = pages / "README.md"
    assert readme.read_text(encoding="utf-8").startswith("before\n")
    assert readme.read_text(encoding="utf-8").endswith("after\n")
    page = pages / "docs" / "results.md"
    page.write_text(page.read_text(encoding="utf-8").replace(" 1 |", " 9 |"), encoding="utf-8")
    assert "docs/results.md not current: run scripts/results write" in results("write", "--check")
    readme.write_text("no marks", encoding="utf-8")
    assert "README.md lacks the lines" in results("write")


def test_what_does_not_belong_to_the_run_is_refused(
    results: Results, runs: list[Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    wrong = "nmt train model=rnn"
    assert "but the command gives" in results("add", copy, "--command", wrong)
    assert "must begin with nmt train" in results("add", copy, "--command", "train")
    translations = copy / "test.translations.txt"
    lines = translations.read_text(encoding="utf-8").splitlines()
    translations.write_text("".join(f"{line} x y z\n" for line in lines), encoding="utf-8")
    assert "the folder or the text was changed" in results("add", copy)
    (copy / "summary.json").unlink()
    assert "is unfinished; only finished runs have figures" in results("add", copy)


# ------------------------------------------------------------------------------ shown commands


@pytest.fixture
def commands(load_script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the commands in results.md."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    load_script("results")
    return sys.modules["results_commands"]


def _recorded(commands: Any, command: str, stopped_by: str = "max_updates") -> dict[str, Any]:
    """Return a record of a run with the settings of a command."""
    config = compose_config(shlex.split(command)[2:], {})
    known = commands.digest(config, all_updates=stopped_by == "max_updates")
    return {"command": command, "digest": known, "runs": [{"stopped_by": stopped_by}]}


SMALL = (
    "nmt train experiment=multi30k_transformer data.root=FOLDER model.encoder.hidden_size=128 "
    "model.decoder.hidden_size=128 model.encoder.feed_forward_size=256 "
    "model.decoder.feed_forward_size=256 model.encoder.num_layers=4 model.decoder.num_layers=4 "
    "model.encoder.attention_dropout=0 model.decoder.attention_dropout=0 "
    "model.encoder.feed_forward_dropout=0 model.decoder.feed_forward_dropout=0 "
    "optimizer.learning_rate=0.004 schedule.warmup=1000 training.max_updates=6500 "
    "training.validate_every=500 training.save_every=500 training.max_minutes=300"
)


@pytest.mark.slow
def test_the_shown_command_is_that_of_the_nearest_experiment(commands: Any) -> None:
    short = "nmt train experiment=multi30k_small_transformer data.root=FOLDER"
    assert commands.shortest_command(_recorded(commands, SMALL)) == short
    longer = (
        f"{SMALL} training.label_smoothing=0.2 data.extra.a.source=FILE data.extra.a.target=FILE"
    )
    record = _recorded(commands, longer.replace("FILE", "/a", 1).replace("FILE", "/b"))
    record["command"] = longer
    shown = commands.shortest_command(record)
    assert sorted(shlex.split(shown)) == sorted([*shlex.split(short), *shlex.split(longer)[-3:]])
    assert commands.gives_settings(shown, record)
    assert not commands.gives_settings(short, record)


def test_a_shown_command_has_no_shorter_limit_of_time(commands: Any) -> None:
    """A run that made all its updates needs at least its limit of time on the same machine."""
    base = "nmt train experiment=multi30k_rnn data.root=FOLDER"  # its limit is 60 minutes
    for limit, shown in (("200", f"{base} training.max_minutes=200"), ("60", base), ("40", base)):
        record = _recorded(commands, f"{base} training.max_minutes={limit}")
        assert commands.shortest_command(record) == shown
    no_limit = _recorded(commands, f"{base} training.max_minutes=null")
    assert "training.max_minutes=null" in commands.shortest_command(no_limit)
    stopped = _recorded(commands, SMALL, stopped_by="max_minutes")
    assert "training.max_minutes=300" in commands.shortest_command(stopped)


def test_a_command_is_shown_as_recorded_if_no_other_is_proven_equal(commands: Any) -> None:
    record = _recorded(commands, SMALL)
    for changed in ({"digest": "0" * 16}, {"digest": None}, {"command": f"{SMALL} model.gone=1"}):
        other = record | changed
        assert commands.shortest_command(other) == other["command"]


@pytest.mark.slow
def test_what_an_experiment_gives_is_not_repeated(commands: Any) -> None:
    base = "nmt train experiment=attention_none"
    record = _recorded(commands, f"{base} model/decoder/attention=none training.max_updates=1200")
    assert commands.shortest_command(record) == base


@pytest.mark.slow
def test_every_command_of_the_page_gives_the_settings_of_its_runs(commands: Any) -> None:
    """The experiments of this version still have the settings that were measured."""
    measured = 0
    for path in sorted((ROOT / "data" / "results").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("digest"):
            measured += 1
            shown = commands.shortest_command(record)
            assert commands.gives_settings(record["command"], record), path
            assert commands.gives_settings(shown, record), path
    assert measured > 10
