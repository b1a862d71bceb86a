"""JSON lines: one object per line; one that is not a pair is skipped with its reason."""

import json
from collections.abc import Callable
from typing import Any

import pytest

ReadFile = Callable[..., Any]

PAIR = {"en": "a dog", "de": "ein Hund"}
GOOD = json.dumps(PAIR)


@pytest.mark.parametrize(
    "row",
    [
        PAIR,
        {"translation": PAIR, "id": 3},
        {"DE": PAIR["de"], "En": PAIR["en"]},
        {"translation": {"DE": PAIR["de"], "EN": PAIR["en"]}},
        {"id": 1, "translation": "something else", **PAIR},
    ],
)
def test_keys_are_found_by_language(read_file: ReadFile, row: dict[str, Any]) -> None:
    reading = read_file("text.jsonl", f"\ufeff{json.dumps(row)}\r\n\n{json.dumps(row)}")
    assert reading.pairs == [("a dog", "ein Hund")] * 2
    assert reading.lines == [1, 3]
    assert not reading.faults


def test_keys_are_found_by_the_names_given(read_file: ReadFile) -> None:
    row = {"translation": {"en": "no", "de": "nein"}, "q": "a", "r": "b"}
    columns = {"source_column": "q", "target_column": "r"}
    assert read_file("a.jsonl", json.dumps(row), **columns).pairs == [("a", "b")]


def test_text_may_hold_line_breaks_and_any_character(read_file: ReadFile) -> None:
    row = {"en": 'a\n"b"\u2028\U0001f44d', "de": "\t漢字"}
    for ascii_only in (True, False):
        line = json.dumps(row, ensure_ascii=ascii_only)
        assert read_file("a.jsonl", line).pairs == [(row["en"], row["de"])]


@pytest.mark.parametrize(
    ("line", "rule", "message"),
    [
        ("a\tb", "not_json", "is not a JSON object"),
        ('{"en": "a", "de": "b"', "not_json", "is not a JSON object"),
        ("[" * 100_000, "not_json", "is not a JSON object"),
        ("9" * 5000, "not_json", "is not a JSON object"),
        ('["a", "b"]', "not_json", "it contains a list"),
        ('"a"', "not_json", "it contains a str"),
        (
            '{"en": "a", "fr": "b"}',
            "missing_column",
            "row 2 has no column 'de'; its columns are en",
        ),
        ('{"translation": {"en": "a"}}', "missing_column", "row 2 has no pairs of en and de"),
        ('{"en": "a", "de": null}', "not_text", "row 2 is not a pair of texts: its 'de' is null"),
        ('{"en": 3, "de": "b"}', "not_text", "its 'en' is of type int"),
        ('{"en": "\\ud800", "de": "b"}', "forbidden_character", "U+D800"),
        ('{"en": "a", "de": "\\u0000"}', "forbidden_character", "U+0000"),
    ],
)
def test_a_line_that_is_not_a_pair_is_reported_and_skipped(
    read_file: ReadFile, line: str, rule: str, message: str
) -> None:
    reading = read_file("text.jsonl", f"{GOOD}\n{line}\n{GOOD}\n")
    assert reading.lines == [1, 3]
    assert [(f.rule, f.line) for f in reading.faults] == [(rule, 2)]
    assert message in reading.faults[0].message
