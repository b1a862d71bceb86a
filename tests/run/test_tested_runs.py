"""Which runs `nmt compare` tests against each other, and what it says of the others."""

import csv
import io
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.evaluation.metrics import MetricName, ScoreOptions, corpus_score
from nmt.evaluation.significance import PairedTestName
from nmt.evaluation.test_set import of_run
from nmt.reporting.comparison_table import TableFormat, comparison_text
from nmt.run.comparison.run_comparison import Comparison, compare_runs
from nmt.run.folder import RunFolder
from nmt.run.reports.run_report import run_page
from nmt.run.run_record import RunRecord, RunStatus, read_runs

Make = Callable[..., RunRecord]


@pytest.fixture
def make(run_config: Callable[..., Config], tiny_config: Callable[..., ModelConfig]) -> Make:
    """A factory of finished runs: name, seed of the training and of the noise, and settings."""

    def record(name: str, seed: int = 1, noise: int | None = None, **changes: Any) -> RunRecord:
        config = run_config(tiny_config(attention="bahdanau"), **changes)
        config.seed = seed
        reference = of_run(config.data, "test").references[0]
        draw = random.Random(seed if noise is None else noise)
        words = [word for line in reference[:100] for word in line.split()]
        translations = [
            " ".join(draw.choice(words) if draw.random() < 0.3 else word for word in line.split())
            for line in reference
        ]
        tokenizer = changes.get("bleu_tokenizer", "13a")
        options = ScoreOptions(tokenizer)
        bleu = corpus_score(MetricName.BLEU, translations, [reference], options)
        test = {"bleu": bleu.value, "signature": bleu.signature, "chrf": 50.0, "ter": 40.0}
        summary = {"test": test, "updates": 100, "stopped_by": "max_updates"}
        path = Path("runs", name)
        return RunRecord(path, config, RunStatus.FINISHED, summary, [], translations)

    return record


def _compared(*records: RunRecord) -> Comparison:
    return compare_runs(records, PairedTestName.BOOTSTRAP)


def test_runs_with_other_words_of_bleu_are_not_tested(make: Make) -> None:
    """An interval of one tokenizer beside the BLEU of another would mislead."""
    found = _compared(make("a"), make("chars", 2, bleu_tokenizer="char"), make("c", 3, threads=3))
    assert [row.get("bleu_interval") is not None for row in found.rows] == [True, False, True]
    (note,) = found.notes
    assert "chars is not compared with a" in note
    assert "the tokenizer char, not of 13a" in note


def test_a_run_whose_translations_changed_is_not_tested(make: Make) -> None:
    changed = make("changed", 2)
    lines = list(changed.translations or [])
    changed = replace(changed, translations=[*lines[1:], lines[0]])
    found = _compared(make("a"), changed, make("c", 3))
    assert [row.get("bleu_interval") is not None for row in found.rows] == [True, False, True]
    (note,) = found.notes
    assert "changed is not compared" in note
    assert f"its BLEU was {changed.summary['test']['bleu']:.2f} and would now be " in note
    shorter = _compared(make("a"), replace(changed, translations=lines[1:]), make("c", 3))
    assert f"changed has {len(lines) - 1:,} translations" in shorter.notes[0]


def test_the_page_of_a_run_has_no_interval_of_changed_translations(make: Make) -> None:
    record = make("a")
    assert "±" in next(value for *_, value, _ in run_page(record).scores)
    changed = replace(record, translations=(record.translations or [])[::-1])
    shown = {name: value for _, name, value, _ in run_page(changed).scores}
    assert shown["BLEU"] == f"{record.summary['test']['bleu']:.2f}"


def test_a_damaged_run_in_a_folder_does_not_stop_the_others(make: Make, tmp_path: Path) -> None:
    for name in ("a", "damaged", "z"):
        folder = RunFolder(tmp_path / name)
        folder.create(make(name).config, "")
    (tmp_path / "damaged" / "metrics.jsonl").write_text("junk\n", encoding="utf-8")
    records, notes = read_runs([tmp_path])
    assert [record.path.name for record in records] == ["a", "z"]
    assert f"{tmp_path / 'damaged'} is left out" in notes[0]
    with pytest.raises(UserError, match="not a line of metrics"):
        read_runs([tmp_path / "a", tmp_path / "damaged"])


def test_if_the_first_run_does_not_fit_its_test_text_none_is_tested(make: Make) -> None:
    first = make("a")
    first = replace(first, translations=(first.translations or [])[::-1])
    found = _compared(first, make("b", 2, threads=3))
    assert not any("bleu_interval" in row for row in found.rows)
    assert "a is not compared" in found.notes[0]


def test_a_copy_of_a_run_is_no_other_seed(make: Make) -> None:
    """Its deviation of 0 would make every difference look significant."""
    found = _compared(make("a"), make("copy"), make("b", 2, batch_tokens=99))
    assert found.seeds == []
    assert found.configurations == []
    assert found.rows[1]["bleu_p_value"] is None
    assert any("copy of a" in note for note in found.notes)
    three = _compared(make("a"), make("copy"), make("c", 2))
    assert [group["runs"] for group in three.seeds] == [["a", "c"]]
    assert [group["runs"] for group in three.configurations] == [["a", "c"]]


def test_runs_that_ended_by_time_are_named(make: Make) -> None:
    record = make("slow", 2)
    summary = {**record.summary, "stopped_by": "max_minutes", "updates": 3}
    found = _compared(make("a"), replace(record, summary=summary))
    assert found.notes == ["training.max_minutes stopped runs early: slow at update 3 of 6"]


def test_a_bar_in_a_name_does_not_add_a_column(make: Make) -> None:
    found = _compared(make("a|b"), make("c", 2))
    lines = comparison_text(vars(found), TableFormat.MARKDOWN).splitlines()
    columns = {line.replace(r"\|", "").count("|") for line in lines if line.startswith("|")}
    assert len(columns) == 1


def test_latex_has_the_notes_as_comments(make: Make) -> None:
    found = _compared(make("a"), make("chars", 2, bleu_tokenizer="char"), make("c", 3, threads=3))
    text = comparison_text(vars(found), TableFormat.LATEX)
    _, _, after = text.partition("\\end{tabular}")
    assert all(line.startswith("% ") for line in after.strip().splitlines())
    assert "% note: chars is not compared with a" in after
    assert found.signature in after


def test_csv_has_the_signature_of_each_bleu(make: Make) -> None:
    found = _compared(make("a"), make("chars", 2, bleu_tokenizer="char"))
    rows = list(csv.DictReader(io.StringIO(comparison_text(vars(found), TableFormat.CSV))))
    assert ["|tok:13a|" in row["bleu_signature"] for row in rows] == [True, False]
    assert "|tok:char|" in rows[1]["bleu_signature"]


def test_many_settings_have_a_table_of_their_own(make: Make) -> None:
    """One row of 15 columns is wider than a terminal."""
    changes = {"max_skipped": 7, "clip_norm": 9.0, "batch_tokens": 99, "validate_every": 77}
    other = make("b", 2, save_every=55, max_minutes=66.0, **changes)
    for part in (other.config.model.encoder, other.config.model.decoder):
        part.dropout = 0.55  # type: ignore[union-attr]
    lines = comparison_text(vars(_compared(make("a"), other)), TableFormat.MARKDOWN).splitlines()
    head = [line for line in lines if line.startswith("| run")]
    assert len(head) == 1
    assert "batch_tokens" not in head[0]
    assert "BLEU" in head[0]
    rows = {line.split()[1]: line.split("|")[2:4] for line in lines if line.startswith("| ")}
    assert [text.strip() for text in rows["batch_tokens"]] == ["64", "99"]
    assert rows["dropout"][1].strip() == "0.55"
