"""Every fault of the gallery is reported with its location and remedy, without a crash."""

import copy
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest

from nmt.cli.data_check import DataCheckOptions, run_check

GALLERY = Path(__file__).resolve().parents[1] / "data" / "gallery"

# Folder: the rule, the file, the line, and a part of the remedy.
WARNINGS = {
    "blank_side": ("blank", "train.de", 7, "lines around them"),
    "both_blank": ("both_blank", "train.de", 9, "drops them"),
    "byte_order_mark": ("byte_order_mark", "train.en", 1, "sed"),
    "control_character": ("control_character", "train.de", 8, "tr -d"),
    "copy": ("copy", "train.de", 13, "data.filters.copies=true"),
    "crlf": ("crlf", "train.de", 1, "sed"),
    "duplicates": ("duplicate", "train.de", 25, "data.filters.duplicates=exact"),
    "html_entity": ("markup", "train.en", 19, "html.unescape"),
    "html_tag": ("markup", "train.de", 20, "delete tags"),
    "line_break_inside": ("line_break_inside", "train.en", 5, "join the parts"),
    "long_word": ("long_word", "train.en", 17, "delete these pairs"),
    "lost_characters": ("replacement_character", "train.de", 11, "convert the original"),
    "many_words": ("many_words", "train.en", 16, "data.filters.max_words=200"),
    "mojibake": ("mojibake", "train.de", 18, "iconv"),
    "not_composed": ("not_composed", "train.de", 22, "normalization=nfc"),
    "nul": ("control_character", "train.en", 6, "tr -d"),
    "ratio": ("ratio", "train.de", 15, "data.filters.max_ratio=5"),
    "source_overlap": ("source_overlap", "test.en", 2, "data.filters.test_overlap=true"),
    "spaces": ("spaces", "train.de", 21, "sed"),
    "tab": ("tab", "train.en", 23, "FILE.tsv"),
    "test_overlap": ("overlap", "test.de", 1, "data.filters.test_overlap=true"),
    "unicode_line_break": ("line_break_inside", "train.en", 5, "join the parts"),
    "valid_overlap": ("overlap", "valid.de", 2, "data.filters.test_overlap=true"),
    "wrong_script": ("wrong_script", "train.de", 14, "data.filters.scripts=true"),
    "utf16": ("read_as", "train.de", None, "nothing has to be done"),
    "zero_width": ("invisible_character", "train.de", 10, "remove them"),
}
ERRORS = {
    "all_blank": ("no_pairs", "train.de", 1, "give files with text"),
    "csv_quote": ("bad_quotes", "train.en-de.csv", 8, "close the quote"),
    "empty": ("no_text", "train.de", None, "give the file"),
    "json_broken": ("not_json", "train.en-de.jsonl", 8, "fix or delete"),
    "json_key": ("missing_column", "train.en-de.jsonl", 9, "data.train.source_column"),
    "no_gzip": ("unreadable", "train.de.gz", 1, "download or create the file again"),
    "not_utf8": ("not_utf8", "train.de", 12, "iconv"),
    "old_mac": ("unequal_lines", "train.de", 1, "missing or doubled"),
    "truncated_gzip": ("unreadable", "train.de.gz", 53, "download or create the file again"),
    "tsv_column": ("too_few_columns", "train.en-de.tsv", 6, "fix that row"),
    "whitespace_only": ("no_text", "train.de", None, "give the file"),
}
SHIFTED = {  # the rule, and the approximate line where the shift begins
    "blank_inserted": ("unequal_lines", 31),
    "shifted": ("looks_shifted", 10),
    "source_short": ("unequal_lines", 51),
    "target_short": ("unequal_lines", 41),
}

Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module", autouse=True)
def compose_once() -> Iterator[None]:
    """Compose once: Hydra takes 0.3 s for a configuration that most folders share."""
    composed = functools.cache(lambda overrides: hydra.compose("train", overrides=list(overrides)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "nmt.sweeps.overrides.compose",
            lambda _, overrides: copy.deepcopy(composed(tuple(overrides))),
        )
        yield


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    """Runs the command on a folder of the gallery; returns the exit status and the report."""

    def call(folder: Path, **options: Any) -> tuple[int, dict[str, Any]]:
        named = {split: _files(folder, split) for split in ("train", "valid", "test")}
        status = run_check(
            DataCheckOptions(
                options.pop("arguments", named["train"]),
                named["valid"] or None,
                named["test"] or None,
                as_json=True,
                **options,
            )
        )
        printed = capsys.readouterr()
        assert printed.err == ""
        return status, json.loads(printed.out)

    return call


def _files(folder: Path, split: str) -> Any:
    two = [str(file) for ln in ("en", "de") for file in folder.glob(f"{split}.{ln}*")]
    return tuple(file for file in two if "en-de" not in file) or tuple(set(two))


def _finding(report: dict[str, Any], rule: str) -> dict[str, Any]:
    found = [finding for finding in report["findings"] if finding["rule"] == rule]
    assert found, report["findings"]
    return found[0]


def test_every_file_of_the_gallery_is_tested() -> None:
    folders = {folder.name for folder in GALLERY.iterdir() if folder.is_dir()}
    assert folders == {*WARNINGS, *ERRORS, *SHIFTED, "clean"}
    assert len(folders) > 40


def test_a_clean_corpus_has_no_findings(check: Check) -> None:
    status, report = check(GALLERY / "clean")
    assert (status, report["status"], report["findings"]) == (0, "clean", [])


@pytest.mark.parametrize("name", [*WARNINGS, *ERRORS])
def test_a_fault_is_named_with_its_location_and_remedy(name: str, check: Check) -> None:
    rule, file, line, remedy = {**WARNINGS, **ERRORS}[name]
    status, report = check(GALLERY / name)
    finding = _finding(report, rule)
    assert status == (2 if name in ERRORS else 1)
    assert finding["severity"] == ("error" if name in ERRORS else "warning")
    assert Path(finding["places"][0]["file"]).name == file
    assert finding["places"][0]["line"] == line
    assert file in finding["message"]
    if line is not None and name not in ("no_gzip", "truncated_gzip"):
        assert f"line {line}" in finding["message"] or f"row {line}" in finding["message"]
    assert remedy in finding["remedy"]


@pytest.mark.parametrize("name", WARNINGS)
def test_a_fault_is_not_reported_as_another_one(name: str, check: Check) -> None:
    _, report = check(GALLERY / name)
    found = {finding["rule"] for finding in report["findings"]}
    assert found == {WARNINGS[name][0]}


@pytest.mark.parametrize("name", SHIFTED)
def test_the_first_shifted_line_is_named(name: str, check: Check) -> None:
    rule, line = SHIFTED[name]
    status, report = check(GALLERY / name)
    finding = _finding(report, rule)
    assert status == 2
    assert abs(finding["places"][0]["line"] - line) <= 8
    assert "look shifted" in finding["message"]
    assert "missing or doubled" in finding["remedy"]


def test_a_missing_file_is_a_finding(check: Check, tmp_path: Path) -> None:
    files = [str(tmp_path / "none.en"), str(GALLERY / "clean" / "train.de")]
    status, report = check(tmp_path, arguments=files)
    finding = _finding(report, "missing_file")
    assert status == 2
    assert finding["places"][0]["file"] == files[0]
    assert "check the name" in finding["remedy"]


def test_a_folder_in_place_of_a_file_is_a_finding(check: Check, tmp_path: Path) -> None:
    (tmp_path / "text.en").mkdir()
    files = [str(tmp_path / "text.en"), str(GALLERY / "clean" / "train.de")]
    status, report = check(tmp_path, arguments=files)
    assert status == 2
    assert files[0] in report["findings"][0]["places"][0]["file"]
    assert files[0] in report["findings"][0]["message"]


def test_a_vocabulary_too_large_is_reported_before_training(check: Check) -> None:
    status, report = check(GALLERY / "clean", vocab_size=30_000)
    finding = _finding(report, "vocabulary_too_large")
    assert status == 2
    assert "train.en" in finding["message"]
    assert "tokenizer.vocab_size" in finding["remedy"]


def test_a_vocabulary_too_small_is_reported_before_training(check: Check) -> None:
    status, report = check(GALLERY / "clean", vocab_size=100)
    finding = _finding(report, "vocabulary_too_small")
    assert status == 2
    assert "or more" in finding["remedy"]


def test_filters_that_drop_every_pair_are_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    clean = GALLERY / "clean"
    settings = [
        "data.source_language=en",
        "data.target_language=de",
        *(f"data.{split}.path={clean}/train.{{lang}}" for split in ("train", "valid")),
        "data.test=null",
        "data.filters.max_words=1",
    ]
    status = run_check(DataCheckOptions(settings, data="files", as_json=True))
    finding = _finding(json.loads(capsys.readouterr().out), "nothing_left")
    assert status == 2
    assert "max_words" in finding["message"]
    assert finding["places"][0]["file"].endswith("train.de")
