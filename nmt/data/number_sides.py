"""Finds pairs of a number and of words without it, e.g. from a misplaced column of a sheet."""

import re

_LETTER = re.compile(r"[^\W\d_]")
_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+")
_LEAST_WORDS = 2  # one word may be the number in letters, or its unit
_UNSPACED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{4}")


def is_number(text: str) -> bool:
    """Return whether a text is only a number or a date: it has digits and no letters."""
    return _LETTER.search(text) is None and _DIGITS.search(text) is not None


def is_number_with_words(source: str, target: str) -> bool:
    """Return whether one side is only a number or a date, and the other has words without it.

    If both sides have an equal number, the pair is accepted: ``3.5.2019`` and ``3 May 2019``. A
    side of a single word is accepted too: it may be the number in letters.
    """
    if is_number(source):
        return not is_number(target) and _lacks(target, source)
    return is_number(target) and _lacks(source, target)


def _lacks(words: str, number: str) -> bool:
    """Return whether a side has 2 words or more, and no number of the other side."""
    if len(_WORD.findall(words)) < _LEAST_WORDS and not _UNSPACED.search(words):
        return False
    return not _numbers(words) & _numbers(number)


def _numbers(text: str) -> set[int]:
    return {int(digits) for digits in _DIGITS.findall(text[:4000])}
