"""Writes translations in Markdown: with escapes, references, and lines of similar width."""

import re
from collections.abc import Sequence

from nmt.documents.html_tokens import html_text
from nmt.documents.segments import Form, Tag, TagKind, Text, spelled
from nmt.documents.wrapping import filled, with_line_feeds

SPECIALS = "\\`*_[]<"
"""Characters that may be markup without a backslash before them."""

_NARROW = 40  # if all lines are shorter, their length is not the width of the paragraph
_USUAL_WIDTH = 72
REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]\w*);")  # of a character
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_EMPHASIS = re.compile(r"[*_~]+")
_BLOCK = re.compile(
    r"(?:[-+*:](?=\s|$)|\d{1,9}(?=[.)](?:\s|$))|#{1,6}(?=\s|$)|>|=+\s*$|-{2,}|~{3,}|`{3,}|:{3,}|!{3}|\||<"
    r"|\[[^\]]*\]:|\$\$)"
)


def _separated(tokens: Sequence[str | Tag | Text]) -> list[str | Tag | Text]:
    """Insert spaces where a tag would not be markup beside its new neighbors.

    Two adjacent code spans would be one. Delimiters of emphasis open and close only beside certain
    characters (CommonMark 0.31, section 6.2).
    """
    spellings = [_spelling(token) for token in tokens]
    found: list[str | Tag | Text] = []
    before = " "
    for index, (token, spelling) in enumerate(zip(tokens, spellings, strict=True)):
        after = next((text[0] for text in spellings[index + 1 :] if text), " ")
        emphasis = isinstance(token, Tag) and _EMPHASIS.fullmatch(spelling)
        opens = emphasis and isinstance(token, Tag) and token.kind == TagKind.OPEN
        ticks = isinstance(token, Tag) and spelling.startswith("`") and before == "`"
        if ticks or (opens and before.isalnum() and (is_punctuation(after) or spelling[0] == "_")):
            found.append(" ")
        found.append(token)
        closes = emphasis and not opens
        if closes and after.isalnum() and (is_punctuation(before) or spelling[0] == "_"):
            found.append(" ")
        before = " " if found[-1] == " " else spelling[-1:] or before
    return found


def _spelling(token: str | Tag | Text) -> str:
    if isinstance(token, Tag):
        return spelled(token.parts)
    return token if isinstance(token, str) else token.raw


def is_punctuation(character: str) -> bool:
    """Return whether Markdown treats a character as punctuation."""
    return not (character.isalnum() or character.isspace())


class MarkdownForm(Form):
    """Text of Markdown.

    A character that may be markup is escaped unless the segment has it without an escape. If the
    segment writes a character as an escape or a reference, so does the translation.
    """

    def __init__(
        self, raw: str, *, specials: str = SPECIALS, widths: Sequence[int] = (), joint: str = "\n"
    ) -> None:
        r"""Take the source of the segment.

        Args:
            raw: The text of the segment as in the document.
            specials: Characters that may be markup.
            widths: The lengths of the lines of the segment. If there are several, the translation
                is wrapped.
            joint: The separator of two lines: a line end, and e.g. ``> ``.
        """
        plain = REFERENCE.sub("", _ESCAPED.sub("", raw))
        self._spellings = {c: f"\\{c}" for c in specials if c not in plain or c == "|"}
        for escaped in _ESCAPED.findall(raw):
            self._spellings.setdefault(escaped, f"\\{escaped}")
        for reference in REFERENCE.findall(raw):
            character = html_text(reference)
            if len(character) == 1 and character not in plain:
                self._spellings[character] = reference
        longest = max(widths, default=0)
        self._width = 0 if len(widths) < 2 else longest if longest >= _NARROW else _USUAL_WIDTH
        self._joint = joint

    def encode(self, text: str) -> str:
        """See `Form`."""
        found = "".join(self._spellings.get(character, character) for character in text)
        return found.replace("\n", self._joint)

    def arrange(self, tokens: Sequence[str | Tag]) -> Sequence[str | Tag]:
        """See `Form`."""
        if not self._width:
            return tokens
        breaks = filled(self._width, lambda following: not _BLOCK.match(following))
        return with_line_feeds(tokens, breaks, count_tags=True)

    def separated(self, tokens: Sequence[str | Tag | Text]) -> Sequence[str | Tag | Text]:
        """See `Form`."""
        return _separated(tokens)


class BlockForm(MarkdownForm):
    """The text of a block; it is escaped if it would begin a block of another kind."""

    def finish(self, raw: str) -> str:
        """See `Form`."""
        body = raw.lstrip(" ")
        found = _BLOCK.match(body)
        if found is None or body[0] in "<\\[`$":
            return raw
        end = len(raw) - len(body) + (len(found[0]) if found[0].isdigit() else 0)
        return f"{raw[:end]}\\{raw[end:]}"
