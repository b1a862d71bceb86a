"""`nmt compare`: runs side by side."""

import csv
import io
import json
import math
import statistics
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.data.encoded import PieceSequences
from nmt.reporting.comparison_table import TableFormat, comparison_text
from nmt.run.comparison.run_comparison import compare_runs
from nmt.run.comparison.tested_runs import settings_without_seed
from nmt.run.reports.comparison_report import comparison_page
from nmt.run.reports.translation_attention import translation_heatmaps
from nmt.run.run_record import RunRecord, read_record

Nmt = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def runs(nmt: Nmt, run: Path, tiny: Callable[[Path], list[str]]) -> Path:
    """A folder with runs of two seeds, and one of another attention that was stopped."""
    folder = run.parent / "compared"
    settings = tiny(run.parent / "corpus")
    for name, more in {
        "first": ["seed=1"],
        "second": ["seed=2"],
        "wide/other": ["seed=1", "model/decoder/attention=luong_concat"],
    }.items():
        result = nmt("train", *settings, *more, f"run.dir={folder / name}")
        assert result.status == 0, (name, result.err)
    (folder / "wide" / "other" / "summary.json").unlink()
    return folder


@pytest.fixture(scope="module")
def concat(nmt: Nmt, runs: Path, tiny: Callable[[Path], list[str]]) -> Path:
    """A finished run of another attention."""
    folder = runs.parent / "concat"
    settings = tiny(runs.parent / "corpus")
    more = "model/decoder/attention=luong_concat", f"run.dir={folder}"
    result = nmt("train", *settings, *more)
    assert result.status == 0, result.err
    return folder


def _table(out: str) -> list[dict[str, str]]:
    """Return the rows of the first Markdown table."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in out.splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_runs_in_a_folder_are_compared_by_what_differs(nmt: Nmt, runs: Path) -> None:
    rows = _table(nmt("compare", runs).out)
    assert [row["run"] for row in rows] == ["first", "second", "other"]
    assert [row["seed"] for row in rows] == ["1", "2", "1"]
    assert len({row["attention.name"] for row in rows}) == 2
    assert [row["status"] for row in rows] == ["finished", "finished", "unfinished"]
    assert "hidden_size" not in rows[0]
    assert rows[2]["chrF2"] == "-"
    assert rows[2]["updates"] == rows[0]["updates"]


def test_figures_are_those_of_the_summaries(nmt: Nmt, runs: Path) -> None:
    found = json.loads(nmt("compare", runs / "first", runs / "second", "--format", "json").out)
    summaries = [json.loads((runs / n / "summary.json").read_text()) for n in ("first", "second")]
    for row, summary in zip(found["rows"], summaries, strict=True):
        assert row["chrf"] == summary["test"]["chrf"]
        assert row["parameters"] == summary["parameters"]
        assert row["minutes"] == pytest.approx(summary["seconds"] / 60)
    (seeds,) = found["seeds"]
    values = [summary["test"]["chrf"] for summary in summaries]
    assert seeds["chrf"]["mean"] == pytest.approx(statistics.mean(values))
    assert seeds["chrf"]["deviation"] == pytest.approx(statistics.stdev(values))
    assert found["settings"] == ["seed"]


def test_perplexities_are_compared_only_over_the_same_pieces(nmt: Nmt, runs: Path) -> None:
    first, second = (read_record(runs / name) for name in ("first", "second"))
    found = compare_runs([first, second], None)
    values = [record.summary["test"]["perplexity"] for record in (first, second)]
    assert [row["perplexity"] for row in found.rows] == values
    assert found.seeds[0]["perplexity"]["mean"] == pytest.approx(statistics.mean(values))
    assert "perplexity" in _table(nmt("compare", runs).out)[0]

    diverged = replace(second, summary=deepcopy(second.summary))
    diverged.summary["test"]["perplexity"] = math.exp(700)
    text = comparison_text(vars(compare_runs([first, diverged], None)), TableFormat.MARKDOWN)
    assert _table(text)[1]["perplexity"] == "1.01e+304"  # e^700 = 10^(700 / ln 10) = 10^304.006

    changed = replace(second, summary=deepcopy(second.summary))
    changed.summary["test"]["target_pieces"] = "0" * 32
    other = compare_runs([first, changed], None)
    assert [row["perplexity"] for row in other.rows] == [None, None]
    assert any("the pieces of the test text differ" in note for note in other.notes)


def test_settings_decide_about_the_perplexity_of_an_earlier_version(runs: Path) -> None:
    first, second = (read_record(runs / name) for name in ("first", "second"))
    values = [record.summary["test"]["perplexity"] for record in (first, second)]
    second = replace(second, summary=deepcopy(second.summary))
    del second.summary["test"]["target_pieces"]

    def with_tokenizer(**changes: Any) -> RunRecord:
        tokenizer = replace(second.config.tokenizer, **changes)
        return replace(second, config=replace(second.config, tokenizer=tokenizer))

    sampled = compare_runs([first, with_tokenizer(sampling=0.1)], None)
    assert [row["perplexity"] for row in sampled.rows] == values
    other = compare_runs([first, with_tokenizer(vocab_size=99)], None)
    assert [row["perplexity"] for row in other.rows] == [None, None]
    assert any("the settings of the data or the tokenizer differ" in note for note in other.notes)


def test_the_hash_of_pieces_is_that_of_the_text_and_its_division(runs: Path) -> None:
    def pieces(*sequences: list[int]) -> str:
        return PieceSequences.from_lists(sequences).fingerprint()

    assert pieces([5, 6], [7]) == pieces([5, 6], [7])
    assert len({pieces([5, 6], [7]), pieces([5], [6, 7]), pieces([5, 7], [6])}) == 3
    small = PieceSequences.from_lists([[5, 6], [7]])
    stored = replace(small, ids=small.ids.astype(np.uint16))
    assert stored.fingerprint() == small.fingerprint()
    summary = read_record(runs / "first").summary
    assert summary["test"]["target_pieces"] != summary["valid"]["target_pieces"]


def test_the_names_of_runs_stand_before_the_means_of_their_seeds(nmt: Nmt, runs: Path) -> None:
    text = " ".join(nmt("compare", runs / "first", runs / "second").out.split())
    assert "first, second: 2 seeds, mean ± standard deviation: BLEU" in text


def test_significance_is_that_of_evaluate(nmt: Nmt, runs: Path, concat: Path) -> None:
    found = json.loads(nmt("compare", runs / "first", concat, "--format", "json").out)
    names = [folder / "test.translations.txt" for folder in (runs / "first", concat)]
    reference = runs.parent / "corpus" / "test.de"
    evaluated = json.loads(nmt("evaluate", *names, "--reference", reference, "--json").out)
    for row, system in zip(found["rows"], evaluated["systems"], strict=True):
        assert row["bleu"] == pytest.approx(system["bleu"])
        assert row["bleu_interval"] == pytest.approx(system["bleu_interval"])
        assert row["bleu_p_value"] == system.get("bleu_p_value")
    assert found["signature"] == evaluated["systems"][0]["bleu_signature"]
    assert found["configurations"] == []
    assert (
        "p is about these models, not about their settings"
        in nmt("compare", runs / "first", concat).out
    )


def test_two_seeds_of_one_configuration_do_not_differ(nmt: Nmt, runs: Path) -> None:
    two = runs / "first", runs / "second"
    rows = json.loads(nmt("compare", *two, "--format", "json").out)["rows"]
    assert all(row["bleu_p_value"] is None for row in rows)
    assert all(row["bleu_interval"] is not None for row in rows)
    out = nmt("compare", *two).out
    assert "These runs differ only in their seed: there is no difference of settings." in out
    assert "p =" not in out


def test_the_number_of_threads_makes_no_other_configuration(
    run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]
) -> None:
    first, second, third = (
        run_config(tiny_config(attention="bahdanau"), threads=threads, batch_tokens=tokens)
        for threads, tokens in ((1, 100), (2, 100), (2, 200))
    )
    assert settings_without_seed(first) == settings_without_seed(second)
    assert settings_without_seed(first) != settings_without_seed(third)


def test_configurations_are_compared_over_their_seeds(nmt: Nmt, runs: Path, concat: Path) -> None:
    all_runs = runs / "first", concat, runs / "second"
    comparison = json.loads(nmt("compare", *all_runs, "--format", "json").out)
    first, other = comparison["configurations"]
    assert (first["runs"], other["runs"]) == (["first", "second"], ["concat"])
    bleu = {row["name"]: row["bleu"] for row in comparison["rows"]}
    assert first["bleu"] == pytest.approx((bleu["first"] + bleu["second"]) / 2)
    assert other["bleu_difference"] == pytest.approx(bleu["concat"] - first["bleu"])
    assert 0 < other["bleu_p_value"] <= 1
    out = nmt("compare", *all_runs).out
    assert "Settings compared over seeds and test text" in out
    assert f"difference {other['bleu_difference']:+.2f}, p = {other['bleu_p_value']:.4f}" in out


def test_csv_and_latex_have_the_same_rows(nmt: Nmt, runs: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(nmt("compare", runs, "--format", "csv").out)))
    assert [row["run"] for row in rows] == ["first", "second", "other"]
    assert float(rows[0]["chrf"]) > 0
    assert rows[2]["chrf"] == ""
    latex = nmt("compare", runs, "--format", "latex").out
    assert latex.count(r" \\") == 4
    assert r"luong\_concat" in latex


def test_a_run_that_trains_now_is_shown_as_such(nmt: Nmt, runs: Path) -> None:
    with FileLock(runs / "wide" / "other" / ".lock"):
        rows = _table(nmt("compare", runs).out)
    assert rows[2]["status"] == "training"


def test_curves_are_drawn(nmt: Nmt, runs: Path, tmp_path: Path) -> None:
    picture = tmp_path / "curves.png"
    assert nmt("compare", runs, "--curves", picture).status == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_sentences_of_two_configurations_are_compared_if_there_are_two(
    runs: Path, concat: Path
) -> None:
    seeds = [read_record(runs / name) for name in ("first", "second")]
    other = read_record(concat)
    assert comparison_page([*seeds, other]).compared == ["first", "concat"]
    assert comparison_page(seeds).compared == ["first", "second"]


def test_heatmaps_of_a_run_that_was_guided_with_a_shift_are_shifted(runs: Path) -> None:
    record = read_record(runs / "first")
    sentences = ["eins zwei", "drei"], ["one two", "three"]
    plain = translation_heatmaps(record, *sentences)
    record.config.training.guided_alignment.weight = 0.5
    record.config.training.guided_alignment.shift = True
    shifted = translation_heatmaps(record, *sentences)
    for one, other in zip(plain, shifted, strict=True):
        assert one is not None
        assert other is not None
        assert len(one.weights) > 1
        np.testing.assert_array_equal(other.weights, one.weights[1:])


def test_models_that_read_previous_sentences_have_no_heatmaps_of_single_ones(runs: Path) -> None:
    record = read_record(runs / "first")
    record.config.data.context_sentences = 1
    assert translation_heatmaps(record, ["eins zwei"], ["one two"]) == [None]


def test_missing_test_text_leaves_the_table(nmt: Nmt, runs: Path) -> None:
    reference = runs.parent / "corpus" / "test.de"
    content = reference.read_bytes()
    reference.unlink()
    try:
        out = nmt("compare", runs).out
    finally:
        reference.write_bytes(content)
    assert "note: no test of significance: " in out
    assert _table(out)[0]["chrF2"] != "-"


def test_what_is_no_run_is_refused(refused: Refused, runs: Path, tmp_path: Path) -> None:
    assert "there is no run folder" in refused("compare", tmp_path / "absent")
    assert "contains no run" in refused("compare", tmp_path)
    assert "PNG" in refused("compare", runs, "--curves", tmp_path / "curves.jpg")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{")
    assert "config.json" in refused("compare", tmp_path / "run")
