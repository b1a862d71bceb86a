"""Hashes of texts: equal everywhere for equal texts, different for different ones."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.text_hash import hash_normalized, hash_pairs, hash_texts, normalized

TEXTS = ["", "a", "b", "ab", "Straße", "漢字 👍", "\ud800", "1:a", "a\x00b"]


def test_hashes_are_equal_only_for_equal_texts() -> None:
    hashes = hash_texts(TEXTS)
    assert hashes.dtype == np.uint64
    assert len(set(hashes.tolist())) == len(TEXTS)
    np.testing.assert_array_equal(hash_texts([*TEXTS[::-1]])[::-1], hashes)
    assert hash_texts([]).shape == (0,)


def test_another_process_hashes_the_same() -> None:
    code = f"from nmt.data.text_hash import hash_texts; print(hash_texts({TEXTS!r}).tolist())"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == str(hash_texts(TEXTS).tolist())


def test_pairs_that_join_to_the_same_text_differ() -> None:
    sides = ["", "a", "ab", "aba", "1:", "1:a", "a1:", "1", "11:a"]
    pairs = [(source, target) for source in sides for target in sides]
    hashes = hash_pairs(*zip(*pairs, strict=True))
    assert len(set(hashes.tolist())) == len(pairs)


def test_sides_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        hash_pairs(["a", "b"], ["c"])


@pytest.mark.parametrize(
    "same",
    [
        ["Hello, world!", "hello world", "HELLO  WORLD…", "Ｈｅｌｌｏ　ｗｏｒｌｄ！"],
        ["Straße", "STRASSE", "strasse."],
        ["„Ja“, sagte er.", "Ja sagte er", "«Ja»—sagte er"],
        ["e\u0301te\u0301", "été", "ÉTÉ!"],
        ["co\u00adop", "co-op", "coop"],
        ["「今日」は、", "今日は"],
        ["?!", "？！", " ? ! "],
        ["\tx\x7f", "X"],
    ],
)
def test_case_width_punctuation_and_spaces_do_not_matter(same: list[str]) -> None:
    assert len({normalized(text) for text in same}) == 1
    assert len(set(hash_normalized(same).tolist())) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("?", "!"), ("5 €", "5 $"), ("1 + 1", "1 = 1"), ("कि", "की"), ("", ".")]
)
def test_different_meanings_stay_different(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


@given(st.text())
def test_texts_are_normalized_as_their_hashes_are(text: str) -> None:
    once = normalized(text)
    assert hash_texts([once]) == hash_normalized([text])
    assert not any(character.isspace() for character in once)
    # A letter beyond ASCII takes the slow path, with the same result.
    assert normalized(f"{text} ж") in (f"{once}ж", "ж")
