"""The rule nfc composes letters and accents; every other character comes back as it was."""

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.text.tokenizer import Tokenizer, train_tokenizers

TEXT = ["a small text", "ein kleiner Text"]
SPACES = " \u2581"  # SentencePiece's own space and mark; both are decoded as a space
LETTERS = "aAeoOuUnsSzcCdđtTнеиікऩᄀ가각क"
MARKS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u0309\u030a\u030c\u031b\u0323\u0327\u0328"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    config = TokenizerConfig(name="char", vocab_size=300, normalization="nfc")
    return train_tokenizers(config, TEXT, TEXT).target


def _round_trip(tokenizer: Tokenizer, text: str) -> str:
    return tokenizer.decode(tokenizer.encode(text))


def test_the_default_is_the_rule() -> None:
    assert TokenizerConfig().normalization == "nfc"


@settings(max_examples=300, deadline=None)
@given(letter=st.sampled_from(LETTERS), marks=st.lists(st.sampled_from(MARKS), max_size=3))
def test_a_letter_with_accents_comes_back_as_the_same_text(
    letter: str, marks: list[str], tokenizer: Tokenizer
) -> None:
    text = f"x{letter}{''.join(marks)}x"
    for form in ("NFC", "NFD"):
        spelling = unicodedata.normalize(form, text)  # type: ignore[arg-type]
        back = _round_trip(tokenizer, spelling)
        assert unicodedata.normalize("NFC", back) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("text", ["\u1ebf", "\u1ec7", "\u01d6", "\ud55c", "\u0439", "\u00e5"])
def test_all_spellings_of_a_character_are_one(text: str, tokenizer: Tokenizer) -> None:
    letter, *marks = unicodedata.normalize("NFD", text)
    spellings = {text, letter + "".join(marks)}
    if len(marks) == 2:
        spellings.add(unicodedata.normalize("NFC", letter + marks[0]) + marks[1])
    assert len(spellings) > 1
    assert {_round_trip(tokenizer, spelling) for spelling in spellings} == {text}


@settings(max_examples=500, deadline=None)
@given(character=st.characters(exclude_categories=["Cs"], exclude_characters=f"{SPACES}\0\n\r"))
def test_a_composed_character_comes_back_exactly(character: str, tokenizer: Tokenizer) -> None:
    if unicodedata.is_normalized("NFC", f"a{character}a"):
        assert _round_trip(tokenizer, f"a{character}a") == f"a{character}a"


@pytest.mark.parametrize("text", ["می\u200cخوانم", "（测试）？", "m² ½ ™ … ﬁ ①", "5\u00a0€ \u2126"])
def test_characters_that_nfkc_replaces_come_back(text: str, tokenizer: Tokenizer) -> None:
    assert _round_trip(tokenizer, text) == text
    config = TokenizerConfig(name="char", vocab_size=300, normalization="nmt_nfkc")
    assert _round_trip(train_tokenizers(config, TEXT, TEXT).target, text) != text


def test_reading_the_rule_prints_nothing() -> None:
    code = (
        "from nmt.config.tokenizer_settings import TokenizerConfig; "
        "from nmt.text.vocabulary import vocabulary_bounds; "
        "vocabulary_bounds(TokenizerConfig(name='char'), ['a text'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_rule_is_part_of_the_model(tokenizer: Tokenizer) -> None:
    again = Tokenizer(tokenizer.to_bytes())
    assert again.encode("e\u0301") == tokenizer.encode("\u00e9") != tokenizer.encode("e")
