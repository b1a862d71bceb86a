"""Rules about the characters of texts.

For speed, the joined texts of a chunk are searched first, and single texts only after a match.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from nmt.data.sources.spreadsheet_errors import is_spreadsheet_error, may_have_errors
from nmt.data.sources.table_shape import is_quoted_cell

Found = tuple[str, list[int], list[int]]
"""A rule, the indices of the texts that break it, and the index of the character in each."""

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
# Characters that result from 2 or 3 bytes of UTF-8 decoded as Latin-1 or Windows-1252.
_CONTINUATION = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MISREAD = re.compile(
    f"[ÃÅÄÐÑØÙ][{_CONTINUATION}]|Â[\x80-\xbf]|â€[{_CONTINUATION}]|ï»¿|[àá][¤-¹][{_CONTINUATION}]"
)
_REPLACED = re.compile("\ufffd(?!\ufdd0)")  # `UNDECODED` is reported as a fault of its file
_MISREAD_LEADS = "ÃÅÄÐÑØÙÂâïàá"
_SPACES = re.compile(r"^[ \t\xa0]+(?=\S)|(?<=\S)[ \t\xa0]+(?=[\r\n]*$)|(?<=\S)  +(?=\S)")


def _from_sheets(texts: Sequence[str], whole: str) -> Iterator[Found]:
    """Yield the rules about spreadsheets: formula errors, and cells with their quotes."""
    if may_have_errors(whole):
        errors = [i for i, text in enumerate(texts) if is_spreadsheet_error(text)]
        yield from _found("spreadsheet_error", errors, [0] * len(errors))
    if '""' in whole:
        quoted = [i for i, text in enumerate(texts) if is_quoted_cell(text)]
        yield from _found("quoted_cell", quoted, [0] * len(quoted))


def has_own_rule(character: str) -> bool:
    """Return whether a rule of this file is about this character."""
    return bool(
        _CONTROL.match(character)
        or _INVISIBLE.match(character)
        or _BREAK.match(character)
        or character in "\t\r\ufeff\ufffd"
    )


def faulty_texts(texts: Sequence[str], *, own_file: bool) -> Iterator[Found]:
    """Yield each rule about characters that some of the texts break.

    Args:
        texts: The texts as they are in the file.
        own_file: Whether each side has its own file, so that a tab does not separate columns.
    """
    whole = "\n".join(texts)
    plain = whole.replace("\n", " ").isprintable()
    if not plain or whole.count("\n") != len(texts) - 1:
        yield from _invisible(texts, whole, own_file=own_file)
    yield from _from_sheets(texts, whole)
    if not whole.isascii():
        yield from _beyond_ascii(texts, whole)
    if ("&" in whole and ";" in whole) or ("<" in whole and ">" in whole):
        yield from _matches("markup", texts, _MARKUP)
    if "  " in whole or "\n " in whole or " \n" in whole or whole[:1] == " " or whole[-1:] == " ":
        yield from _matches("spaces", texts, _SPACES)


def _invisible(texts: Sequence[str], whole: str, *, own_file: bool) -> Iterator[Found]:
    if "\r" in whole:
        ends = [i for i, text in enumerate(texts) if text.rstrip("\n").endswith("\r")]
        yield from _found("crlf", ends, [len(texts[i]) - 1 for i in ends])
    yield from _matches("line_break_inside", texts, _BREAK)
    if "\ufeff" in whole:
        marked = [i for i, text in enumerate(texts) if text.startswith("\ufeff")]
        yield from _found("byte_order_mark", marked, [0] * len(marked))
    if _CONTROL.search(whole):
        yield from _matches("control_character", texts, _CONTROL)
    yield from _matches("invisible_character", texts, _INVISIBLE)
    if own_file and "\t" in whole:
        tabs = [i for i, text in enumerate(texts) if "\t" in text]
        yield from _found("tab", tabs, [texts[i].index("\t") for i in tabs])


def _beyond_ascii(texts: Sequence[str], whole: str) -> Iterator[Found]:
    if "\ufffd" in whole:
        yield from _matches("replacement_character", texts, _REPLACED)
    if any(lead in whole for lead in _MISREAD_LEADS) and _MISREAD.search(whole):
        yield from _matches("mojibake", texts, _MISREAD)
    if not unicodedata.is_normalized("NFC", whole):
        decomposed = [
            i for i, text in enumerate(texts) if not unicodedata.is_normalized("NFC", text)
        ]
        yield from _found(
            "not_composed", decomposed, [_first_decomposed(texts[i]) for i in decomposed]
        )


def _first_decomposed(text: str) -> int:
    composed = unicodedata.normalize("NFC", text)
    pairs = zip(text, composed, strict=False)
    return next((i for i, (one, other) in enumerate(pairs) if one != other), 0)


def _matches(rule: str, texts: Sequence[str], pattern: re.Pattern[str]) -> Iterator[Found]:
    found = [(i, match.start()) for i, text in enumerate(texts) if (match := pattern.search(text))]
    yield from _found(rule, [i for i, _ in found], [at for _, at in found])


def _found(rule: str, indices: list[int], characters: list[int]) -> Iterator[Found]:
    if indices:
        yield rule, indices, characters
