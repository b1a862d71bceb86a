"""scripts/gpu_check: parts keep to their time, a failing part is reported, figures are written."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPLITS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}  # names of Multi30k


@pytest.fixture(scope="module")
def check(load_script: Callable[[str], Any]) -> Any:
    return load_script("gpu_check")


class Clock:
    """A clock that parts set forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def run(check: Any) -> Callable[..., tuple[dict[str, Any], dict[str, float]]]:
    """Run parts of which each takes a given time, but stops at its limit."""

    def call(needed: dict[str, float], **options: Any) -> tuple[dict[str, Any], dict[str, float]]:
        clock, limits = Clock(), {}

        def launch(name: str, seconds: float) -> Any:
            limits[name] = seconds
            clock.now += min(needed[name], seconds)
            return check.Outcome("ok" if needed[name] <= seconds else "overran")

        parts = [check.Part(name, 30, 10 if name < "c" else None) for name in needed]
        return check.run_parts(parts, launch, clock=clock, **options), limits

    return call


def test_a_part_that_overruns_is_reported_and_the_next_one_runs(run: Any) -> None:
    outcomes, limits = run({"a": 5, "b": 99, "c": 5})
    assert {name: o.status for name, o in outcomes.items()} == {
        "a": "ok",
        "b": "overran",
        "c": "ok",
    }
    assert [o.seconds for o in outcomes.values()] == [5, 30, 5]
    assert set(limits.values()) == {30}


def test_no_part_exceeds_what_is_left_of_the_whole(run: Any) -> None:
    outcomes, limits = run({"a": 99, "b": 99, "c": 99}, limit=50)
    assert limits == {"a": 30, "b": 20}
    assert outcomes["c"].status == "skipped"
    assert sum(o.seconds for o in outcomes.values()) <= 50


def test_a_short_run_has_the_parts_with_a_short_time(run: Any) -> None:
    outcomes, limits = run({"a": 1, "b": 1, "c": 1}, short=True)
    assert limits == {"a": 10, "b": 10}
    assert "c" not in outcomes


def test_all_parts_have_figures_to_make_and_the_usual_ones_fit(check: Any) -> None:
    script = (ROOT / "scripts" / "gpu_check_parts.py").read_text(encoding="utf-8")
    assert all(part.seconds < check.WHOLE for part in check.PARTS)
    for part in check.PARTS:
        assert f'"{part.name}":' in script, part.name


def test_the_table_has_the_figures_and_the_reason_of_a_failure(check: Any) -> None:
    machine = {"gpu": "NVIDIA H200", "torch": "2.11", "driver": "570", "precision": "bfloat16"}
    rows = [{"what": "training pairs", "measured": "9", "machine": machine}]
    outcomes = {
        "machine": check.Outcome("ok", 1.0, result={"rows": rows}),
        "small": check.Outcome(
            "failed", 2.0, "out of memory | all", {"rows": [{"what": "small", "ratio": "3.10"}]}
        ),
    }
    lines = check.table(outcomes).splitlines()
    assert lines[0].startswith("# NVIDIA H200, torch 2.11, driver 570, products in bfloat16")
    assert "| small |  |  | 3.10 |  |  |" in lines  # measured before the failure
    assert "| small | 2 | failed: out of memory / all |" in lines


def test_an_unknown_part_is_refused(check: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check.main(["--only", "smal"])
    assert "there is no part smal" in capsys.readouterr().err


@pytest.fixture
def data(corpus: Path, tmp_path: Path) -> Path:
    """A tiny corpus with the file names of Multi30k."""
    folder = tmp_path / "data"
    folder.mkdir()
    for ours, theirs in SPLITS.items():
        for language in ("en", "de"):
            (corpus / f"{ours}.{language}").rename(folder / f"{theirs}.{language}")
    return folder


@pytest.mark.slow
def test_the_whole_script_on_a_cpu(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    parts = ["tests", "small", "multi30k", "decode", "variants", "fail"]
    flags = ["--device", "cpu", "--short", "--tiny", "--data", data, "--out", out]
    script = ROOT / "scripts" / "gpu_check"
    ended = subprocess.run(
        [sys.executable, script, *flags, "--seconds", "800", "--only", *parts],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    found = json.loads((out / "gpu-check.json").read_text())["parts"]
    assert set(found) == {"machine", *parts}
    assert {name: part["status"] for name, part in found.items()} == {
        **dict.fromkeys(("machine", *parts), "ok"),
        "fail": "failed",
    }, ended.stderr
    assert ended.returncode == 1
    assert found["fail"]["reason"] == "RuntimeError: this part always fails"
    rows = {name: part["result"].get("rows", [{}])[0] for name, part in found.items()}
    assert {"torch", "gpu", "precision"} <= rows["machine"]["machine"].keys()
    assert rows["tests"]["counts"]["failed"] == 0
    assert rows["small"]["first_update_from_start"] > rows["small"]["first_update"] > 0
    plain = rows["small"]["plain_loop"]
    assert rows["small"]["ratio_to_plain"] == pytest.approx(
        rows["small"]["tokens_per_second"] / plain["tokens_per_second"]
    )
    assert rows["multi30k"]["summary"]["test"]["signature"].startswith("nrefs:1")
    assert len(found["decode"]["result"]["rows"]) == 3
    assert (out / "gpu-check.md").read_text() in ended.stdout


@pytest.mark.slow
def test_a_part_and_its_children_end_with_their_time(
    check: Any, data: Path, tmp_path: Path
) -> None:
    flags = ["--device", "cpu", "--tiny", "--data", str(data), "--out", str(tmp_path)]
    outcome = check.Processes(check.options(flags)).launch("multi30k", 0.5)
    assert outcome.status == "overran"
    assert outcome.result == {}
    mine = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in mine.stdout
