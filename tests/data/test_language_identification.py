"""Texts in an unexpected language are found."""

import sys

import pytest

from nmt.config.filter_settings import FiltersConfig
from nmt.data.filters import RULES, PairFilters
from nmt.data.language_identification import _identifier, surely_other
from nmt.errors import UserError

ENGLISH = "The weather was so bad that we stayed at home all weekend."
GERMAN = "Das Wetter war so schlecht, dass wir das ganze Wochenende zu Hause blieben."
FRENCH = "Je ne sais pas pourquoi il n'a pas voulu venir à la fête hier soir."
NORWEGIAN = "Jeg vet ikke hvorfor han ikke ville komme til festen i går kveld."


def test_text_in_another_language_is_found() -> None:
    texts = [ENGLISH, GERMAN, "12:30", "OK", "", "Tom!"]
    assert surely_other(texts, "de", 0.8) == [True, False, False, False, False, False]
    assert surely_other(texts, "en-GB", 0.8) == [False, True, False, False, False, False]
    assert surely_other([], "de", 0.8) == []


def test_a_higher_threshold_finds_fewer_texts() -> None:
    texts = [ENGLISH, "The dog is here.", "Dogs bark", "Hi"]
    found = [sum(surely_other(texts, "de", least)) for least in (0.01, 0.5, 0.9, 0.999999)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


@pytest.mark.parametrize("language", ["no", "nb", "nn", "NB_no"])
def test_interchangeable_language_codes_are_equal(language: str) -> None:
    assert surely_other([NORWEGIAN, GERMAN], language, 0.5) == [False, True]


def test_a_language_unknown_to_the_identifier_is_reported() -> None:
    with pytest.raises(UserError, match=r"'tlh'.*data\.filters\.language=null"):
        surely_other([ENGLISH], "tlh", 0.9)


def test_without_the_extra_its_name_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    _identifier.cache_clear()
    with pytest.raises(UserError, match=r'pip install "nmt\[language\]"'):
        surely_other([ENGLISH], "de", 0.9)


def test_a_filter_drops_a_pair_with_either_side_in_another_language() -> None:
    config = FiltersConfig(
        max_words=None,
        max_ratio=None,
        duplicates="keep",
        copies=False,
        scripts=False,
        language=0.8,
        test_overlap=False,
    )
    verdicts = PairFilters(config, ("de", "en")).verdicts(
        [GERMAN, ENGLISH, GERMAN, FRENCH], [ENGLISH, ENGLISH, GERMAN, ENGLISH]
    )
    assert [RULES[verdict] for verdict in verdicts] == ["kept", *["language"] * 3]
