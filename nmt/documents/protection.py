"""Protected parts of a text, which its translation must contain unchanged, e.g. placeholders.

A text with protected parts is translated in up to three attempts, until one keeps all of them:

1. A symbol ``<ph1>``, ``<ph2>``, ... replaces each part, if both vocabularies have enough of them.
2. The text is translated unchanged. The translation must have the same parts and no others.
3. Only the texts between the parts are translated. The parts keep their positions.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from enum import StrEnum

Span = tuple[int, int]


class Protected(StrEnum):
    """A kind of text that is not translated."""

    PLACEHOLDERS = "placeholders"
    """``{name}``, ``{{name}}``, ``${name}``, ``%s``, ``%1$d``, ``%(name)s``, ``%{name}``,
    ``%@``."""
    URLS = "urls"
    """``https://...``, ``www....`` and other schemes with ``://``."""
    EMAILS = "emails"
    """``name@example.org``."""
    NUMBERS = "numbers"
    """Digits with signs between them: ``3.14``, ``1,000``, ``12:30``, ``2024-05-01``."""
    MARKUP = "markup"
    """``<tag attribute="...">``, ``</tag>``, ``&entity;``."""


_PATTERNS = {  # at each position, they are tried in this order
    Protected.MARKUP: r"</?[A-Za-z][\w:.-]*"
    r"(?:\s+[\w:.-]+(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=]+))?)*\s*/?>|<!--.{0,1000}?-->|&(?:[A-Za-z]\w{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});",
    Protected.URLS: r"(?<!\w)(?:[A-Za-z][A-Za-z0-9+.-]{1,20}://|www\.)"
    r"[^\s<>\"'“”«»]*[^\s<>\"'“”«».,;:!?)\]}]",
    Protected.EMAILS: r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    Protected.PLACEHOLDERS: r"\{\{[^{}\n]{1,80}\}\}|\{%[^%\n]{1,80}%\}|[$%#]?\{[\w.:!,$ -]{0,80}\}"
    r"|%\([\w.-]{1,80}\)[#0+-]*\d*(?:\.\d+)?[a-zA-Z]"
    r"|(?<!\d)%(?:\d{1,2}\$)?[#0+-]{0,3}\d*(?:\.\d+)?(?:hh|h|ll|l|L|q|j|z|t)?[diouxXeEfFgGcrsap@]"
    r"|%%|(?<!\w)\$[A-Z_]{2,40}\b|__\w{1,40}__",
    Protected.NUMBERS: r"(?<![\w.])[+-]?\d+(?:[.,:/'\u00a0\u202f-]\d+)*(?!\w)",
}
_SYMBOL = re.compile(r"<ph(\d+)>")


class Protection:
    """Finds the parts of texts that are protected.

    Attributes:
        kinds: The kinds that are protected.
    """

    def __init__(self, kinds: Collection[Protected]) -> None:
        """Protect these kinds."""
        self.kinds = frozenset(kinds)
        patterns = [pattern for kind, pattern in _PATTERNS.items() if kind in self.kinds]
        self._pattern = re.compile("|".join(f"(?:{p})" for p in patterns)) if patterns else None

    def spans(self, text: str) -> list[Span]:
        """Return the ranges of the protected parts of a text, in order."""
        return [] if self._pattern is None else [f.span() for f in self._pattern.finditer(text)]

    def copied(self, text: str, translation: str) -> list[tuple[Span, Span]] | None:
        """Return the range of each protected part in text and translation; None: they differ."""
        here, there = self.spans(text), self.spans(translation)
        if Counter(text[a:b] for a, b in here) != Counter(translation[a:b] for a, b in there):
            return None
        left = list(there)
        pairs = []
        for span in here:
            part = text[span[0] : span[1]]
            found = next(other for other in left if translation[other[0] : other[1]] == part)
            left.remove(found)
            pairs.append((span, found))
        return pairs


def placeholder_symbols(*vocabularies: Collection[str]) -> list[str]:
    """Return the symbols ``<ph1>``, ``<ph2>``, ... that all vocabularies have, in this order."""
    shared = set.intersection(*(set(symbols) for symbols in vocabularies))
    numbered = [(int(found[1]), name) for name in shared if (found := _SYMBOL.fullmatch(name))]
    return [name for _, name in sorted(numbered)]


def substituted(text: str, spans: Sequence[Span], symbols: Sequence[str]) -> str:
    """Return a text with its protected parts replaced by symbols."""
    parts, at = [], 0
    for (start, end), symbol in zip(spans, symbols, strict=False):
        parts += [text[at:start], symbol]
        at = end
    return "".join([*parts, text[at:]])


def around(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the ranges between protected parts that have a letter, without outer white space."""
    found = []
    at = 0
    for start, end in [*spans, (len(text), len(text))]:
        between = text[at:start]
        body = between.strip()
        if any(character.isalpha() for character in body):
            first = at + between.index(body)
            found.append((first, first + len(body)))
        at = end
    return found
