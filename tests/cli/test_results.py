"""scripts/results: docs/results.md and README's table are made from records of run folders."""

import json
import re
import shutil
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
