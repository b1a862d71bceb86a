"""Faults that show in the characters of one text: each rule first asks the whole chunk at once."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

Found = tuple[str, list[int], list[int]]
"""A rule, the texts that break it, and the character in each that does."""

_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_INVISIBLE = re.compile(
    "[\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069]|(?<!^)\ufeff"
)
_BREAK = re.compile(r"\r(?!\n?$)|\n(?!$)|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_MARKUP = re.compile(
    r"&(?:amp|lt|gt|quot|apos|nbsp|[a-zA-Z]{2,8}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"
    r"|</?(?:a|b|br|div|em|font|h[1-6]|i|img|li|ol|p|pre|s|small|span|strong|sub|sup|table|td|tr|u|ul)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
# What two or three bytes of UTF-8 become when they are read as Latin-1 or Windows-1252.
_CONTINUATION = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MISREAD = re.compile(
    f"[ÃÅÄÐÑØÙ][{_CONTINUATION}]|Â[\x80-\xbf]|â€[{_CONTINUATION}]|ï»¿|[àá][¤-¹][{_CONTINUATION}]"
)
_MISREAD_LEADS = "ÃÅÄÐÑØÙÂâïàá"
_SPACES = re.compile(r"^[ \t\xa0]+(?=\S)|(?<=\S)[ \t\xa0]+(?=[\r\n]*$)|(?<=\S)  +(?=\S)")


def faulty_texts(texts: Sequence[str], *, own_file: bool) -> Iterator[Found]:
    """Yield every rule of characters that some of the texts break.

    Args:
        texts: As they stand in the file.
        own_file: Whether a tab means nothing there: it is no table that holds both sides.
    """
    whole = "\n".join(texts)
    plain = whole.replace("\n", " ").isprintable()
    if not plain or whole.count("\n") != len(texts) - 1:
        yield from _unseen(texts, whole, own_file=own_file)
    if not whole.isascii():
        yield from _beyond_ascii(texts, whole)
    if ("&" in whole and ";" in whole) or ("<" in whole and ">" in whole):
        yield from _where("markup", texts, _MARKUP)
    if "  " in whole or "\n " in whole or " \n" in whole or whole[:1] == " " or whole[-1:] == " ":
        yield from _where("spaces", texts, _SPACES)


def _unseen(texts: Sequence[str], whole: str, *, own_file: bool) -> Iterator[Found]:
    if "\r" in whole:
        ends = [i for i, text in enumerate(texts) if text.rstrip("\n").endswith("\r")]
        yield from _given("crlf", ends, [len(texts[i]) - 1 for i in ends])
    yield from _where("line_break_inside", texts, _BREAK)
    if "\ufeff" in whole:
        marked = [i for i, text in enumerate(texts) if text.startswith("\ufeff")]
        yield from _given("byte_order_mark", marked, [0] * len(marked))
    if _CONTROL.search(whole):
        yield from _where("control_character", texts, _CONTROL)
    yield from _where("invisible_character", texts, _INVISIBLE)
    if own_file and "\t" in whole:
        tabs = [i for i, text in enumerate(texts) if "\t" in text]
        yield from _given("tab", tabs, [texts[i].index("\t") for i in tabs])


def _beyond_ascii(texts: Sequence[str], whole: str) -> Iterator[Found]:
    if "\ufffd" in whole:
        lost = [i for i, text in enumerate(texts) if "\ufffd" in text]
        yield from _given("replacement_character", lost, [texts[i].index("\ufffd") for i in lost])
    if any(lead in whole for lead in _MISREAD_LEADS) and _MISREAD.search(whole):
        yield from _where("mojibake", texts, _MISREAD)
    if not unicodedata.is_normalized("NFC", whole):
        loose = [i for i, text in enumerate(texts) if not unicodedata.is_normalized("NFC", text)]
        yield from _given("not_composed", loose, [_first_loose(texts[i]) for i in loose])


def _first_loose(text: str) -> int:
    composed = unicodedata.normalize("NFC", text)
    pairs = zip(text, composed, strict=False)
    return next((i for i, (one, other) in enumerate(pairs) if one != other), 0)


def _where(rule: str, texts: Sequence[str], pattern: re.Pattern[str]) -> Iterator[Found]:
    found = [(i, match.start()) for i, text in enumerate(texts) if (match := pattern.search(text))]
    yield from _given(rule, [i for i, _ in found], [at for _, at in found])


def _given(rule: str, indices: list[int], characters: list[int]) -> Iterator[Found]:
    if indices:
        yield rule, indices, characters
