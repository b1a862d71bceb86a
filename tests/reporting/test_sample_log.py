"""Samples survive their table, and a resumed run continues their file."""

from pathlib import Path

from nmt.reporting.sample_log import SampleLog, read_samples
from nmt.reporting.sample_table import read_sample_table, sample_table

ROWS = [
    ("a | b", "x & y <i>", "*c* `d` \\ ~e"),
    ("", " ", "&amp; &#124; |"),
    ("日本語", "ا ب", "🙂 1.5 $x$"),
]


def test_a_table_gives_its_rows_back() -> None:
    assert read_sample_table(sample_table(ROWS)) == [list(row) for row in ROWS]
    assert read_sample_table(sample_table([])) == []


def test_a_resumed_run_drops_later_samples(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    first = SampleLog(path)
    for step in (1, 2, 3):
        first.text(step, "valid/samples", sample_table(ROWS[:step]))
    with path.open("a") as file:
        file.write('{"step": 4, "ta')  # a killed run wrote half a line
    resumed = SampleLog(path, resume_step=2)
    assert [row["step"] for row in read_samples(path)] == [1, 2]
    resumed.text(3, "valid/samples", sample_table(ROWS[:1]))
    found = read_samples(path)
    assert [len(row["rows"]) for row in found] == [1, 2, 1]
    assert found[0]["tag"] == "valid/samples"
