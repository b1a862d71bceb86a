"""The table of a sweep has one row per job, with the numbers of the run's summary."""

import json
import math
import shlex
from typing import Any

import pytest

from nmt.sweeps.job_status import JobStatus
from nmt.sweeps.results_table import (
    SweepRow,
    best_line,
    has_score,
    markdown,
    plain,
    ranked,
    varying_keys,
)
from nmt.sweeps.sweep_curves import row_names

SCORES = {"perplexity": 7.125, "bleu": 18.25, "chrf": 40.5, "signature": "tok:13a"}
SUMMARY = {
    "parameters": 1_234_567,
    "tokens": 12_000,
    "seconds": 90.0,
    "tokens_per_second": 150.4,
    "valid": {**SCORES, "bleu": 99.0},
    "test": SCORES,
    "alignment": {"aer": 0.3456},
}


def finished(name: str, **changes: Any) -> SweepRow:
    overrides = {"experiment": name, "data.root": "corpus"}
    return SweepRow(overrides, JobStatus.FINISHED, f"runs/{name}", {**SUMMARY, **changes})


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def lines(*rows: SweepRow) -> list[list[str]]:
    """Return the cells of the header and of each row."""
    found = [line for line in markdown(rows).splitlines() if line.startswith("|")]
    assert len({len(line) for line in found}) == 1, "the columns are not aligned"
    return [cells(line) for line in (found[0], *found[2:])]


def test_a_score_that_is_not_finite_is_no_best_trial() -> None:
    scores = [1.0, math.nan, 3.0, None, 2.0]
    rows = [SweepRow({}, JobStatus.FINISHED, number=n, score=one) for n, one in enumerate(scores)]
    assert [row.number for row in ranked(rows)] == [2, 4, 0, 1, 3]


def test_only_a_number_is_a_score() -> None:
    scores = (1.0, 0.0, -math.inf, math.nan, None)
    rows = [SweepRow({}, JobStatus.FINISHED, score=score) for score in scores]
    assert [has_score(row) for row in rows] == [True, True, True, False, False]


def test_the_command_of_the_best_trial_survives_a_shell() -> None:
    overrides = {"data.path": "my corpus/$x {lang}", "optimizer.learning_rate": "0.001"}
    best = SweepRow(overrides, JobStatus.FINISHED, number=3, score=2.0, metric="bleu")
    given = best_line(best).splitlines()[1]
    assert shlex.split(given) == [f"{key}={value}" for key, value in overrides.items()]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("12345678901", "12345678901"),  # a seed: another one differs in its last digit
        ("2026.11.28.1", "2026.11.28.1"),
        ("..............", ".............."),
        ("0.00123456789", "0.001235"),
        ("1.23456789e-05", "1.235e-05"),
    ],
)
def test_only_fractions_are_rounded(label: str, shown: str) -> None:
    rows = [SweepRow({"x": one}, JobStatus.FINISHED, "runs/x", SUMMARY) for one in (label, "1")]
    assert lines(*rows)[1][0] == shown


def test_a_row_shows_the_figures_of_the_test_set() -> None:
    head, first, _ = lines(finished("dot"), finished("none"))
    assert head == [
        *("experiment", "perplexity", "valid BLEU", "BLEU", "chrF", "AER"),
        *("parameters", "tokens/s", "minutes"),
    ]
    assert first == ["dot", "7.12", "99.00", "18.25", "40.50", "34.6", "1,234,567", "150", "1.5"]


def test_only_overrides_that_vary_are_shown_in_order() -> None:
    rows = [
        SweepRow(
            {"seed": seed, "model": "rnn", "optimizer": name}, JobStatus.FINISHED, "runs/x", SUMMARY
        )
        for seed, name in (("1", "sgd"), ("1", "adam"), ("2", "sgd"))
    ]
    assert varying_keys(rows) == ["seed", "optimizer"]
    assert [row[:2] for row in lines(*rows)[1:]] == [["1", "sgd"], ["1", "adam"], ["2", "sgd"]]


def test_a_single_job_is_named_by_its_folder() -> None:
    head, row = lines(finished("dot"))
    assert (head[0], row[0]) == ("run", "runs/dot")


def test_a_missing_figure_is_a_dash() -> None:
    row = lines(finished("dot", alignment=None), finished("none"))[1]
    assert row[5] == "-"
    older = {key: value for key, value in SUMMARY.items() if key not in ("tokens_per_second",)}
    row = lines(SweepRow({"a": "1"}, JobStatus.FINISHED, "r", older), finished("x"))[1]
    assert "133" in row, "12,000 tokens in 90 seconds"


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.INTERRUPTED, JobStatus.SKIPPED])
def test_a_job_without_a_summary_shows_its_status(status: JobStatus) -> None:
    rows = (finished("dot"), SweepRow({"experiment": "none", "data.root": "corpus"}, status))
    assert lines(*rows)[2] == ["none", status, *["-"] * 7]
    assert plain(rows)["rows"][1]["status"] == status


def test_rows_with_one_reason_share_a_note() -> None:
    reasons = ["too wide", None, "too wide", "no memory"]
    rows = [
        SweepRow(
            {"seed": str(i)}, JobStatus.SKIPPED if reason else JobStatus.FINISHED, reason=reason
        )
        for i, reason in enumerate(reasons)
    ]
    notes = markdown(rows).splitlines()[-2:]
    assert notes == ["rows 1, 3 skipped: too wide", "row 4 skipped: no memory"]


def test_a_shared_signature_is_printed_once_below_the_table() -> None:
    text = markdown([finished("dot"), finished("none")])
    assert text.count("tok:13a") == 1
    assert text.index("tok:13a") > text.rindex("|")
    assert "test set" in text
    assert "compared" not in text


def test_rows_with_another_set_or_signature_are_listed() -> None:
    other = finished("none", test={**SCORES, "signature": "tok:char"})
    untested = finished("general")
    assert untested.summary is not None
    without = {key: value for key, value in untested.summary.items() if key != "test"}
    validated = SweepRow(untested.overrides, JobStatus.FINISHED, untested.folder, without)
    text = markdown([finished("dot"), other, finished("dot2"), validated])
    assert "cannot be compared" in text
    assert "rows 1, 3: scores of the test set, BLEU tok:13a" in text
    assert "rows 2: scores of the test set, BLEU tok:char" in text
    assert "rows 4: scores of the validation set, BLEU tok:13a" in text
    assert "99.00" in text


def test_plain_values_are_unrounded_and_valid_json() -> None:
    table = plain([finished("dot"), finished("none")])
    assert json.loads(json.dumps(table)) == table
    assert table["varying"] == ["experiment"]
    row = table["rows"][0]
    assert row["overrides"] == {"experiment": "dot", "data.root": "corpus"}
    assert row["folder"] == "runs/dot"
    assert row["aer"] == pytest.approx(34.56)
    assert row["minutes"] == 1.5
    assert row["signature"] == "tok:13a"


def test_the_names_of_curves_are_what_varies() -> None:
    assert row_names([finished("luong_dot"), finished("luong_concat")]) == ["dot", "concat"]
    grid = [
        SweepRow({"seed": seed, "model": model, "a.b": "1"}, JobStatus.FINISHED)
        for seed in ("1", "2")
        for model in ("rnn", "transformer")
    ]
    assert row_names(grid) == ["seed 1, rnn", "seed 1, transformer", "seed 2, rnn"] + [
        "seed 2, transformer"
    ]
    assert row_names([finished("dot")]) == ["dot"]


def test_a_bar_in_a_value_does_not_split_its_cell() -> None:
    text = markdown(
        [SweepRow({"a": "x|y"}, JobStatus.FAILED), SweepRow({"a": "z"}, JobStatus.FAILED)]
    )
    assert "x\\|y" in text
