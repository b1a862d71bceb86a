"""A number or a date beside words is suspicious, unless the words have that number."""

import pytest

from nmt.config.filter_settings import FiltersConfig
from nmt.data.filters import RULES, FilterRule, PairFilters
from nmt.data.number_sides import is_number_with_words
from nmt.data.sources.pair_source import PairChunk
from nmt.data_check.chunk_inspection import inspect_chunk

SUSPICIOUS = [
    ("1742", "Where is the station?"),
    ("Wo ist der Bahnhof?", "2026-11-27"),
    ("Hello there, Tom", "27.11.2026 08:15"),
    ("(3)", "See you tomorrow."),
    ("\u0663", "See you tomorrow."),
    ("12", "\u8eca\u7ad9\u5728\u54ea\u88e1"),
    ("Chapter 7 begins here", "8"),
]
RIGHT = [
    ("1742", "1742"),
    ("3.5.2019", "on 3 May 2019"),
    ("12", "twelve"),
    ("25 %", "25 percent of it"),
    ("10", "10,5"),
    ("Tom is 5 years old", "Tom ist 5 Jahre alt"),
    ("...", "and so on"),
    ("", "a blank side"),
    ("one two", "eins zwei"),
]


@pytest.mark.parametrize(("source", "target"), SUSPICIOUS)
def test_a_number_beside_words_is_found_on_either_side(source: str, target: str) -> None:
    assert is_number_with_words(source, target)
    assert is_number_with_words(target, source)


@pytest.mark.parametrize(("source", "target"), RIGHT)
def test_numbers_that_may_be_translations_are_not(source: str, target: str) -> None:
    assert not is_number_with_words(source, target)
    assert not is_number_with_words(target, source)


def test_the_check_counts_them_and_the_filter_drops_them() -> None:
    sources, targets = (list(side) for side in zip(*SUSPICIOUS, *RIGHT, strict=True))
    chunk = PairChunk("a", "b", list(range(1, len(sources) + 1)), sources, targets)
    found = inspect_chunk(chunk, chunk, languages=("de", "en")).found["number_only", None]
    assert found.count == len(SUSPICIOUS)
    for is_on in (True, False):
        filters = PairFilters(FiltersConfig(numbers=is_on), ("de", "en"))
        verdicts = [RULES[verdict] for verdict in filters.verdicts(sources, targets)]
        assert verdicts.count(FilterRule.NUMBER) == is_on * len(SUSPICIOUS)
