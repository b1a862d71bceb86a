"""Metric logs: strict JSON, no duplicate lines after resuming, all logs closed."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.metric_log import JsonLinesLog, MetricLog, MetricLogs, read_metrics


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def strict_lines(path: Path) -> list[dict]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=refuse_constant) for line in lines]


def write_steps(path: Path, *steps: int, resume_step: int | None = None) -> None:
    log = JsonLinesLog(path, resume_step)
    for step in steps:
        log.scalars(step, {"loss": step / 10})
    log.close()


def test_a_line_contains_step_time_and_values(tmp_path: Path):
    path = tmp_path / "new" / "metrics.jsonl"
    log = JsonLinesLog(path, clock=lambda: 1700000000.12345)
    log.scalars(3, {"train/loss": 2.5, "größe": np.float32(0.5)})
    assert strict_lines(path) == [
        {"step": 3, "time": 1700000000.123, "train/loss": 2.5, "größe": 0.5}
    ], "the line should be in the file before the log is closed"
    log.close()
    log.close()


def test_numbers_that_are_not_finite_stay_strict_json_and_can_be_read_back(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    log = JsonLinesLog(path)
    log.scalars(1, {"a": math.nan, "b": math.inf, "c": -math.inf})
    log.close()
    row = strict_lines(path)[0]
    assert (row["a"], row["b"], row["c"]) == ("nan", "inf", "-inf")
    read = read_metrics(path)[0]
    assert math.isnan(read["a"])
    assert (read["b"], read["c"], read["step"]) == (math.inf, -math.inf, 1)


def test_a_new_log_appends(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    write_steps(path, 1, 2)
    write_steps(path, 3)
    assert [row["step"] for row in read_metrics(path)] == [1, 2, 3]


def test_a_resumed_run_leaves_no_duplicate_line(tmp_path: Path):
    path, straight = tmp_path / "metrics.jsonl", tmp_path / "straight.jsonl"
    write_steps(
        path, 10, 20, 20, 30, 40
    )  # the checkpoint is of step 20; the run was killed after step 40
    kept = path.read_text().splitlines()[:3]
    write_steps(path, 30, 40, 50, resume_step=20)
    write_steps(straight, 10, 20, 20, 30, 40, 50)
    assert path.read_text().splitlines()[:3] == kept, "the lines that are kept should not change"
    assert [row["step"] for row in read_metrics(path)] == [
        row["step"] for row in read_metrics(straight)
    ]
    assert sorted(tmp_path.iterdir()) == [path, straight]


@pytest.mark.parametrize("resume_step", [None, 20])
@pytest.mark.parametrize(
    "half", [b'{"step": 20, "time": 17', b'{"step": 20}', b'{"a": "\xc3', b"\0\0"]
)
def test_an_incomplete_last_line_is_dropped(tmp_path: Path, half, resume_step):
    path = tmp_path / "metrics.jsonl"
    write_steps(path, 10)
    with path.open("ab") as file:
        file.write(half)
    assert [row["step"] for row in read_metrics(path)] == [10]
    write_steps(path, 21, resume_step=resume_step)
    assert [row["step"] for row in strict_lines(path)] == [10, 21]


@pytest.mark.parametrize("line", ["not json", "[1]", '{"loss": 1}', ""])
def test_another_kind_of_file_raises_and_is_not_changed(tmp_path: Path, line):
    path = tmp_path / "notes.txt"
    path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"notes\.txt, line 2"):
        JsonLinesLog(path, resume_step=1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["step", "time"])
def test_reserved_names_raise(tmp_path: Path, name):
    log = JsonLinesLog(tmp_path / "metrics.jsonl")
    with pytest.raises(ValueError, match=name):
        log.scalars(1, {name: 1.0})
    log.close()


def test_json_lines_ignore_texts_and_heatmaps(tmp_path: Path):
    log = JsonLinesLog(tmp_path / "metrics.jsonl")
    log.text(1, "sample", "Hallo")
    log.heatmap(1, "attention", Heatmap(np.eye(1), ["a"], ["b"]))
    log.close()
    assert (tmp_path / "metrics.jsonl").read_text() == ""


class RecordingLog:
    def __init__(self, failure: Exception | None = None) -> None:
        self.calls: list[tuple] = []
        self.failure = failure

    def scalars(self, step, values):
        self.calls.append(("scalars", step, values))

    def text(self, step, tag, text):
        self.calls.append(("text", step, tag, text))

    def heatmap(self, step, tag, heatmap):
        self.calls.append(("heatmap", step, tag, heatmap))

    def best(self, step, scores):
        self.calls.append(("best", step, scores))

    def finished(self, step, scores):
        self.calls.append(("finished", step, scores))

    def close(self):
        self.calls.append(("close",))
        if self.failure:
            raise self.failure


def test_all_logs_receive_the_same():
    logs = [RecordingLog(), RecordingLog()]
    both: MetricLog = MetricLogs(logs)
    heatmap = Heatmap(np.eye(1), ["a"], ["b"])
    both.scalars(1, {"loss": 2.0})
    both.text(2, "sample", "Hallo")
    both.heatmap(3, "attention", heatmap)
    both.best(3, {"valid/bleu": 1.0})
    both.finished(4, {"test/bleu": 2.0})
    both.close()
    expected = [
        ("scalars", 1, {"loss": 2.0}),
        ("text", 2, "sample", "Hallo"),
        ("heatmap", 3, "attention", heatmap),
        ("best", 3, {"valid/bleu": 1.0}),
        ("finished", 4, {"test/bleu": 2.0}),
        ("close",),
    ]
    assert [log.calls for log in logs] == [expected, expected]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_all_logs_are_closed_even_if_one_fails(failing):
    logs = [RecordingLog(OSError("disk full") if n == failing else None) for n in range(3)]
    with pytest.raises(OSError, match="disk full"):
        MetricLogs(logs).close()
    assert [log.calls for log in logs] == [[("close",)]] * 3


def test_an_empty_list_of_logs_accepts_metrics_and_writes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    nothing = MetricLogs([])
    nothing.scalars(1, {"loss": 1.0})
    nothing.close()
    assert not list(tmp_path.iterdir())
