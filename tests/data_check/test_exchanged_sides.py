"""Pairs whose sides are exchanged are found, in any language, and no others."""

from pathlib import Path

import pytest

from nmt.data.sources.pair_source import PairChunk
from nmt.data.text_files import read_pair
from nmt.data_check import exchanged_sides
from nmt.data_check.even_sample import EvenSample
from nmt.data_check.exchanged_sides import exchanged_pairs
from nmt.data_check.findings import exchanged_findings

ROOT = Path(__file__).resolve().parents[2]
PHRASEBOOK = ROOT / "data" / "phrasebook"
TATOEBA = ROOT.parent / "shared" / "data" / "tatoeba-de-en"
EXCHANGED = [3, 199, 200, 777]


def _pairs(number: int, exchanged: list[int]) -> tuple[list[str], list[str]]:
    sides = [
        (PHRASEBOOK / f"train.{language}").read_text(encoding="utf-8").splitlines()[:number]
        for language in ("en", "de")
    ]
    for index in exchanged:
        sides[0][index], sides[1][index] = sides[1][index], sides[0][index]
    return sides[0], sides[1]


def _rot13(text: str) -> str:
    """A language that nobody speaks, so no list of languages has it."""
    return "".join(chr((ord(c) - 97 + 13) % 26 + 97) if "a" <= c <= "z" else c for c in text)


@pytest.mark.parametrize("exchanged", [[], EXCHANGED])
def test_exactly_the_exchanged_pairs_are_found(exchanged: list[int]) -> None:
    sources, targets = _pairs(1_000, exchanged)
    assert exchanged_pairs(sources, targets) == exchanged
    assert exchanged_pairs(targets, sources) == exchanged


def test_the_languages_need_not_be_known() -> None:
    sources, _ = _pairs(1_000, [])
    targets = [_rot13(source.lower()) for source in sources]
    for index in EXCHANGED:
        sources[index], targets[index] = targets[index], sources[index]
    assert exchanged_pairs(sources, targets) == EXCHANGED


def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sources, targets = _pairs(1_000, EXCHANGED)
    monkeypatch.setattr(exchanged_sides, "_BLOCK", 7)
    assert exchanged_pairs(sources, targets) == EXCHANGED


def test_a_pair_does_not_judge_itself() -> None:
    """Trigrams that only one pair has say nothing about the languages."""
    sources, targets = _pairs(1_000, [])
    sources[5], targets[5] = "\u03c9\u03c8\u03c7\u03c6" * 9, "\u0436\u0448\u0449\u0447" * 9
    assert exchanged_pairs(sources, targets) == []
    assert exchanged_pairs(sources, sources) == []


@pytest.mark.parametrize(
    ("number", "exchanged"), [(150, [3, 7]), (1_000, list(range(0, 1_000, 2)))]
)
def test_few_pairs_and_mixed_sides_are_not_judged(number: int, exchanged: list[int]) -> None:
    assert exchanged_pairs(*_pairs(number, exchanged)) == []


@pytest.mark.parametrize(
    ("sources", "targets"),
    [([], []), ([""] * 300, [""] * 300), (["a\nb"] * 300, ["\ud800"] * 300)],
)
def test_unusual_texts_are_accepted(sources: list[str], targets: list[str]) -> None:
    assert exchanged_pairs(sources, targets) == []


@pytest.mark.parametrize("tag", [None, "<2de>"])
def test_the_finding_names_all_rows(tag: str | None) -> None:
    sources, targets = _pairs(1_000, EXCHANGED)
    sample = EvenSample(10_000)
    rows = list(range(2, 1_002))
    sample.add(PairChunk("sheet.csv", "sheet.csv", rows, sources, targets, tag), range(1_000))
    found = list(exchanged_findings(sample))
    if tag is not None:  # a tag may choose the direction of translation
        assert found == []
        return
    (finding,) = found
    assert finding.count == 4
    assert "sheet.csv, rows 5, 201, 202, 779" in finding.message
    assert finding.locations[0].text.startswith(sources[3][:20])


@pytest.mark.skipif(not TATOEBA.exists(), reason="the corpus is not part of the project")
def test_pairs_exchanged_in_real_text_are_found() -> None:
    sources, targets = read_pair(TATOEBA / "train.de.gz", TATOEBA / "train.en.gz")
    planted = range(0, len(sources), 461)
    for index in planted:
        sources[index], targets[index] = targets[index], sources[index]
    found = set(exchanged_pairs(sources, targets))
    assert found <= set(planted)
    assert len(found) >= 0.95 * len(planted)
