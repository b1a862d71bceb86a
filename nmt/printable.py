"""Escapes characters of names and sentences that would control the terminal or a log."""

import json
import re
from typing import Any

_CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_CONTROLS_EXCEPT_BREAKS = re.compile(_CONTROLS.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def printable(text: str, *, keep_breaks: bool = False) -> str:
    r"""Return a text with control characters as escapes, such as ``\x1b`` and ``\u202e``.

    This also escapes line separators, marks that change the direction of writing, and surrogates,
    which represent undecodable bytes of a file name. Letters, spaces, and the joiners of scripts
    and emoji stay.

    Args:
        text: Any text.
        keep_breaks: Whether tabs and line feeds stay.
    """
    pattern = _CONTROLS_EXCEPT_BREAKS if keep_breaks else _CONTROLS
    return pattern.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_json(value: Any) -> str:
    """Return one line of JSON without control characters; a parser gets the same value."""
    text = json.dumps(value, ensure_ascii=False)
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
