"""Reads HTML: the text of elements such as paragraphs and headings, and of some attributes.

Scripts, styles, code, preformatted text and elements with ``translate="no"`` do not change.
Elements inside a sentence, such as ``b`` and ``a``, are tags of its segment.
"""

import re
from collections.abc import Iterator, Sequence

from nmt.documents.document_options import DocumentOptions
from nmt.documents.html_tokens import VOID, HtmlToken, html_text, html_tokens
from nmt.documents.segments import Form, Item, Segment, Tag, TagKind, Text, tag

_INLINE_NAMES = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark "
    "nobr q rb rp rt ruby s samp small span strike strong sub sup time tt u var wbr"
)
INLINE = frozenset(_INLINE_NAMES.split())
"""Elements inside a sentence; all other elements, also ``br``, separate segments."""

_KEPT_NAMES = (
    "script style pre code kbd samp var tt textarea xmp svg math template iframe noembed "
    "noframes object canvas"
)
KEPT = frozenset(_KEPT_NAMES.split())
"""Elements whose content is not translated."""

_ATTRIBUTES = ("alt", "title", "placeholder", "aria-label", "aria-description")
_META = ("description", "og:title", "og:description", "twitter:title", "twitter:description")
_REFERENCE = re.compile(r"&(?:#\d+|#[xX][0-9A-Fa-f]+|\w+);")


class HtmlForm(Form):
    """Text of HTML. If a segment writes a character as a reference, so does its translation."""

    def __init__(self, raw: str, quote: str = "") -> None:
        """Take the source of the segment; ``quote`` is the quotation mark around an attribute."""
        plain = _REFERENCE.sub("", raw)
        self._spellings = {"&": "&amp;", "<": "&lt;"}
        if not quote and ">" not in plain:
            self._spellings[">"] = "&gt;"
        if quote:
            self._spellings[quote] = "&quot;" if quote == '"' else "&#39;"
        for reference in _REFERENCE.findall(raw):
            character = html_text(reference)
            if len(character) == 1 and character not in plain:
                self._spellings[character] = reference

    def encode(self, text: str) -> str:
        """See `Form`."""
        return "".join(self._spellings.get(character, character) for character in text)


class _QuotedForm(HtmlForm):
    """The value of an attribute without quotation marks; its translation gets them."""

    def finish(self, raw: str) -> str:
        return f'"{raw}"'


def read_html(text: str, options: DocumentOptions) -> Iterator[Item]:
    """Yield a document with its texts and attributes as segments."""
    del options
    reader = _Reader()
    for token in html_tokens(text):
        yield from reader.take(token)
    yield from reader.flush()


class _Reader:
    """Collects the tokens of a segment until an element ends it."""

    def __init__(self) -> None:
        self._tokens: list[Text | Tag] = []
        self._line = 1
        self._kept: list[Item] = []  # of the element that is not translated
        self._kept_name = ""
        self._depth = 0

    def take(self, token: HtmlToken) -> Iterator[Item]:
        """Take the next token; yield the items that are complete."""
        if self._kept_name:
            yield from self._take_kept(token)
        elif token.is_text:
            self._line = self._line if self._tokens else token.line
            self._tokens.append(Text(token.raw, html_text(token.raw)))
        elif not token.name:  # a comment or a declaration
            yield from self._alone(token.raw)
        elif self._is_kept(token):
            self._kept, self._kept_name, self._depth = [token.raw], token.name, 1
        elif token.name in INLINE:
            self._line = self._line if self._tokens else token.line
            self._tokens.append(_inline(token))
        else:
            yield from self.flush()
            yield from tag_items(token)

    def _alone(self, raw: str) -> Iterator[Item]:
        """Keep a comment or declaration; inside a segment, it is a tag."""
        if any(isinstance(one, Text) and one.text.strip() for one in self._tokens):
            self._tokens.append(tag(TagKind.SINGLE, raw))
        else:
            yield from self.flush()
            yield raw

    def _is_kept(self, token: HtmlToken) -> bool:
        if token.is_end or token.name in VOID or token.raw.endswith("/>"):
            return False
        classes = (token.get("class") or "").split()
        refused = token.get("translate") == "no" or "notranslate" in classes
        return token.name in KEPT or refused

    def _take_kept(self, token: HtmlToken) -> Iterator[Item]:
        self._kept.append(token.raw)
        if token.name == self._kept_name:
            self._depth += -1 if token.is_end else not token.raw.endswith("/>")
        if self._depth == 0:
            yield from self._end_kept()

    def _end_kept(self) -> Iterator[Item]:
        raw = "".join(str(part) for part in self._kept)
        inline = self._kept_name in INLINE
        self._kept, self._kept_name = [], ""
        if inline:
            self._tokens.append(tag(TagKind.SINGLE, raw))
        else:
            yield from self.flush()
            yield raw

    def flush(self) -> Iterator[Item]:
        """Yield the segment that is not complete yet."""
        if self._kept_name:
            yield from self._end_kept()
        if self._tokens:
            raw = "".join(token.raw for token in self._tokens if isinstance(token, Text))
            yield Segment(self._line, tuple(self._tokens), HtmlForm(raw))
        self._tokens = []


def _inline(token: HtmlToken) -> Tag:
    parts = tuple(tag_items(token))
    if token.name in VOID:
        return Tag(TagKind.SINGLE, parts)
    return Tag(TagKind.CLOSE if token.is_end else TagKind.OPEN, parts, token.name)


def tag_items(token: HtmlToken) -> Sequence[Item]:
    """Return a tag with the segments in its attributes."""
    if token.is_end or token.get("translate") == "no":
        return [token.raw]
    items: list[Item] = []
    at = 0
    for attribute in token.attributes:
        if (
            not attribute.value
            or not attribute.value.strip()
            or not _is_text(token, attribute.name)
        ):
            continue
        spelling = token.raw[attribute.start : attribute.end]
        quote = spelling[0] if spelling[0] in "\"'" else ""
        start, end = attribute.start + bool(quote), attribute.end - bool(quote)
        raw = token.raw[start:end]
        form = HtmlForm(raw, quote) if quote else _QuotedForm(raw, '"')
        items += [token.raw[at:start], Segment(token.line, (Text(raw, html_text(raw)),), form)]
        at = end
    return [*items, token.raw[at:]] if items else [token.raw]


def _is_text(token: HtmlToken, name: str) -> bool:
    if name in _ATTRIBUTES:
        return token.name not in ("link", "style")  # there, a title names a style sheet
    if token.name == "meta" and name == "content":
        return (token.get("name") or token.get("property") or "").lower() in _META
    if token.name == "input" and name == "value":
        return (token.get("type") or "").lower() in ("submit", "button", "reset")
    return token.name in ("track", "option", "optgroup") and name == "label"
