"""Sample translations as a Markdown table, in which no character acts as markup."""

import html
import re
from collections.abc import Iterable

from nmt.printable import printable

_MARKUP = re.compile(r"[\\`*_{}\[\]<>()#+!|~&$:-]")
_HEAD = "| source | reference | translation |\n| --- | --- | --- |\n"


def sample_table(samples: Iterable[tuple[str, str, str]]) -> str:
    """Return a Markdown table of source, reference and translation, one row per sentence.

    Characters that Markdown, HTML or a formula would interpret become character references.
    """
    rows = (f"| {' | '.join(_cell(text) for text in sample)} |\n" for sample in samples)
    return _HEAD + "".join(rows)


def read_sample_table(table: str) -> list[list[str]]:
    """Return the rows of a table that `sample_table` wrote; control characters stay escaped."""
    lines = table.removeprefix(_HEAD).splitlines()
    return [[html.unescape(cell) for cell in line[2:-2].split(" | ")] for line in lines]


def _cell(text: str) -> str:
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", printable(text))
