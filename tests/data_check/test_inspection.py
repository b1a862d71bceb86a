"""The inspection of a chunk, and the sum of several chunks."""

import pickle
from itertools import pairwise

import numpy as np
import pytest

from nmt.data.locations import SHOWN, Location, excerpt
from nmt.data.pair_outlines import outline_chunk
from nmt.data.sources.pair_source import PairChunk, clean_chunk
from nmt.data_check.character_rules import faulty_texts
from nmt.data_check.chunk_inspection import inspect_chunk
from nmt.data_check.duplicates import find_overlap, find_repeats
from nmt.data_check.findings import rule_finding
from nmt.data_check.histograms import COUNT_EDGES, RATIO_EDGES, counted, rows_of_counts
from nmt.data_check.inspection import Inspection
from nmt.data_check.occurrences import Occurrences

CLEAN = "Wir fahren am Montag nach Rom, nicht wahr?"


def _chunk(sources: list[str], targets: list[str], first: int = 1) -> PairChunk:
    lines = list(range(first, first + len(sources)))
    return PairChunk("a.en", "a.de", lines, sources, targets)


def _inspect(sources: list[str], targets: list[str], size: int = 1000) -> Inspection:
    whole = Inspection()
    for start in range(0, len(sources), size):
        part = slice(start, start + size)
        chunk = _chunk(sources[part], targets[part], start + 1)
        clean = clean_chunk(chunk)
        inspected = inspect_chunk(chunk, clean, languages=("en", "de"))
        whole.outline.absorb(pickle.loads(pickle.dumps(outline_chunk(clean))))
        whole.absorb(pickle.loads(pickle.dumps(inspected)))
    return whole


@pytest.mark.parametrize(
    ("rule", "text", "character"),
    [
        ("crlf", "a b\r", 3),
        ("line_break_inside", "a\rb", 1),
        ("line_break_inside", "a\nb", 1),
        ("line_break_inside", "a\u2029b", 1),
        ("byte_order_mark", "\ufeffa", 0),
        ("invisible_character", "a\ufeffb", 1),
        ("invisible_character", "a\u202eb", 1),
        ("control_character", "a\x00b", 1),
        ("control_character", "a\x9bb", 1),
        ("replacement_character", "a\ufffdb", 1),
        ("tab", "a\tb", 1),
        ("mojibake", "fÃ¼r", 1),
        ("mojibake", "donâ€™t", 3),
        ("not_composed", "u\u0308", 0),
        ("markup", "a &quot;b&quot;", 2),
        ("markup", "a<br/>b", 1),
        ("spaces", "a  b", 1),
        ("spaces", " a", 0),
        ("spaces", "a ", 1),
    ],
)
def test_each_rule_of_characters_is_found_in_its_text(rule: str, text: str, character: int) -> None:
    found = list(faulty_texts([CLEAN, text, CLEAN], own_file=True))
    assert found == [(rule, [1], [character])]


@pytest.mark.parametrize(
    "text",
    [
        CLEAN,
        "",
        "«\xa0C'est ça\xa0!\xa0»",
        "5 < 6 & 7 > 3; AT&T",
        "می\u200cخواهم",
        "👨\u200d👩\u200d👧",
        "SÃO PAULO, Århus, Ñandú, À côté",
        "日本語。",
    ],
)
def test_intact_text_breaks_no_rule_of_characters(text: str) -> None:
    assert list(faulty_texts([CLEAN, text], own_file=True)) == []


def test_a_tab_is_a_finding_only_in_a_file_of_one_side() -> None:
    chunk = PairChunk("both.jsonl", "both.jsonl", [1], ["a\tb"], ["Wort"])
    assert inspect_chunk(chunk, chunk, languages=("en", "de")).found == {}


def test_the_counts_of_chunks_add_up() -> None:
    random = np.random.default_rng(1)
    words = ["Haus", "der", "schöne", " ", "Garten\r", "", "&amp;", "Ã¼"]
    sources, targets = (
        [" ".join(random.choice(words, random.integers(0, 9))) for _ in range(200)] for _ in "st"
    )
    one, many = _inspect(sources, targets), _inspect(sources, targets, size=7)
    assert one.found == many.found
    assert one.pairs == many.pairs == 200
    assert (one.ratio_histogram == many.ratio_histogram).all()
    assert (one.pair_hashes() == many.pair_hashes()).all()
    for side in ("source", "target"):
        alone, together = one.side(side), many.side(side)
        outlines = (whole.outline.side(side).lengths for whole in (one, many))
        assert len({lengths.tobytes() for lengths in outlines}) == 1
        assert (alone.hashes == together.hashes).all()
        assert alone.words == together.words
        assert (alone.words_histogram == together.words_histogram).all()
    assert [one.outline.location(i) for i in range(200)] == [
        many.outline.location(i) for i in range(200)
    ]


def test_only_the_first_locations_are_kept() -> None:
    whole = _inspect(["x"] * 100, [""] * 100, size=10)
    occurrences = whole.found["blank", "target"]
    assert occurrences.count == 100
    assert [place.line for place in occurrences.locations] == list(range(1, SHOWN + 1))
    assert {place.file for place in occurrences.locations} == {"a.de"}


def test_skipped_lines_do_not_change_line_numbers() -> None:
    whole = Inspection()
    whole.inspect(PairChunk("a", "b", [1, 2, 5], ["x"] * 3, ["y"] * 3), ("en", "de"))
    whole.inspect(PairChunk("a", "b", [9], ["x"], [""]), ("en", "de"))
    assert [whole.outline.location(i).line for i in range(4)] == [1, 2, 5, 9]
    assert whole.found["blank", "target"].locations[0].line == 9


def test_equal_sides_of_numbers_are_not_an_untranslated_copy() -> None:
    assert ("copy", None) not in _inspect(["1 + 1"], ["1 + 1"]).found
    assert _inspect(["Tom"], ["Tom"]).found["copy", None].count == 1


def test_repeats_are_counted_and_name_the_first() -> None:
    sources = ["a", "b", "a", "a", "", "", "c"]
    targets = ["x", "y", "x", "z", "", "", "w\r"]
    repeats = find_repeats(_inspect(sources, targets, size=2))
    assert repeats.pairs.count == 1  # blank pairs do not count
    assert (repeats.pairs.locations[0].line, repeats.pairs.locations[0].text) == (
        3,
        "same as a.de, line 1",
    )
    assert repeats.sources == 1


def test_overlap_is_found_across_line_ends() -> None:
    train = _inspect(["a", "b", "c"], ["x\r", "y\r", "z\r"])
    overlap = find_overlap(train, _inspect(["q", "c", "b"], ["x", "z", "new"]))
    assert (overlap.pairs.count, overlap.pairs.locations[0].line) == (1, 2)
    assert (overlap.sources.count, overlap.sources.locations[0].line) == (1, 3)


def test_every_value_has_its_bin() -> None:
    values = np.arange(700)
    counts = counted(values, COUNT_EDGES)
    rows = rows_of_counts(counts, 699)
    assert sum(row[2] for row in rows) == 700
    assert all(after[0] == before[1] + 1 for before, after in pairwise(rows))
    assert rows[0][0] == 0
    assert rows[-1][1] == 699
    assert counted(np.array([0.1, 1.0, 99.0]), RATIO_EDGES).sum() == 3


def test_an_excerpt_contains_the_faulty_character() -> None:
    text = "x" * 500 + "\u200b" + "y" * 500
    assert "\\u200b" in excerpt(text, 500)
    assert len(excerpt(text, 500)) < 80
    assert excerpt("short") == "short"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("#REF!", "spreadsheet_error"),
        (" #N/A ", "spreadsheet_error"),
        ("#NV", "spreadsheet_error"),
        ("#BEZUG!", "spreadsheet_error"),
        ("#¡REF!", "spreadsheet_error"),
        ("#NAME?", "spreadsheet_error"),
        ("Err:502", "spreadsheet_error"),
        ('"He said ""hi"""', "quoted_cell"),
        ("# REF!", None),
        ("#hashtag!", None),
        ('"He said "hi""', None),
        ('"Hi"', None),
    ],
)
def test_traces_of_spreadsheets_are_found(text: str, rule: str | None) -> None:
    found = {name for name, *_ in faulty_texts(["a", text], own_file=False)}
    assert found & {"spreadsheet_error", "quoted_cell"} == ({rule} if rule else set())


@pytest.mark.parametrize("rule", ["spaces", "markup"])
def test_cells_are_not_cleaned_by_a_command_for_lines(rule: str) -> None:
    def remedy(file: str) -> str:
        found = Occurrences(1, [Location(file, 2)])
        return rule_finding(rule, "train", "source", found, ("en", "de")).remedy

    assert "'a.en'" in remedy("a.en")
    for table in ("sheet.csv", "sheet.tsv"):
        assert f"'{table}'" not in remedy(table)


def test_reasons_fit_files_of_records() -> None:
    occurrences = Occurrences(1, [Location("m.tmx", 3, "")])
    for rule in ("blank", "line_break_inside"):
        finding = rule_finding(rule, "train", "target", occurrences, ("en", "de"))
        assert "Macintosh" not in finding.remedy
        assert "lost line" not in finding.message
    occurrences = Occurrences(1, [Location("m.de", 3, "")])
    finding = rule_finding("blank", "train", "target", occurrences, ("en", "de"))
    assert "lost line" in finding.message
