"""Reads the blocks of Markdown: CommonMark 0.31, section 4, and tables and footnotes of GitHub.

Headings, paragraphs, items of lists and cells of tables are segments. Code, formulas, front matter,
link definitions and comments do not change. HTML blocks are read as HTML.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from nmt.documents.document_options import DocumentOptions
from nmt.documents.html_documents import read_html
from nmt.documents.markdown_form import SPECIALS, BlockForm, MarkdownForm
from nmt.documents.markdown_inline import InlineReader, normal_label, raw_text
from nmt.documents.segments import Item, Segment, Tag, TagKind, Text

_FRONT = re.compile(r"(---|\+\+\+)[ \t]*\r?\n(?:.*\n)*?(?:\1|\.\.\.)[ \t]*(?:\r?\n|\Z)")
_LABEL = re.compile(r"^[ >]*\[(?!\^)((?:[^\[\]\\]|\\.)+)\]:", re.MULTILINE)
_QUOTE = re.compile(r"( *)> ?")
_MARKER = re.compile(r"(?:[-+*]|\d{1,9}[.)]|:)(?:[ \t]+|$)")
_TASK = re.compile(r"\[[ xX]\][ \t]+")
_NOTE = re.compile(r" {0,3}\[\^[^\]\s]+\]:[ \t]+")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_HEADING = re.compile(r"( {0,3}#{1,6}[ \t]+)(.*?)((?:[ \t]+#+)?(?:[ \t]*\{[:#.][^{}]*\})?[ \t]*)$")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})([^\n]*)$")
_KEPT_LINE = re.compile(
    r" {0,3}\[(?!\^)(?:[^\[\]\\]|\\.)+\]:.*$|[ \t]*:{3,}.*$|[ \t]*(?:!{3}|\?{3}\+?|={3})[ \t]+\S.*$"
    r"|[ \t]*\{[%{:#].*[%}]\}[ \t]*$"
)
_ADMONITION = re.compile(r"([ \t]*)(?:!{3}|\?{3}\+?|={3})[ \t]+\S")
_DELIMITERS = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_CELL = re.compile(r"((?:[^|\\]|\\.)*)(\||$)")
_HTML_ENDS = (  # the first line of an HTML block, and the line that ends it
    (
        re.compile(r" {0,3}<(?:script|pre|style|textarea)(?=[\s>]|$)", re.I),
        re.compile(r"</(?:script|pre|style|textarea)>", re.I),
    ),
    (re.compile(r" {0,3}<!--"), re.compile(r"-->")),
    (re.compile(r" {0,3}<\?"), re.compile(r"\?>")),
    (re.compile(r" {0,3}<![A-Za-z]"), re.compile(r">")),
)
_HTML_BLOCK = re.compile(
    r" {0,3}</?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|"
    r"dd|details|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|"
    r"head|header|hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|"
    r"param|search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul)(?=[\s/>]|$)",
    re.I,
)
_HTML_LINE = re.compile(r" {0,3}</?[A-Za-z][\w-]*(?:\s[^<>]*)?/?>[ \t]*$")


@dataclass
class _Line:
    """A line without its part that was already yielded.

    Attributes:
        number: Number of the line, from 1.
        prefix: Block quote markers and indentation before the text.
        body: The text.
        end: The line end.
        column: Column where the text begins, without block quote markers.
        quotes: Number of block quote markers.
    """

    number: int
    prefix: str
    body: str
    end: str
    column: int
    quotes: int

    @property
    def raw(self) -> str:
        """The rest of the line."""
        return f"{self.prefix}{self.body}{self.end}"


def read_markdown(text: str, options: DocumentOptions) -> Iterator[Item]:
    """Yield a document with the text of its blocks as segments."""
    front = _FRONT.match(text)
    start = front.end() if front else 0
    if front:
        yield front[0]
    labels = {normal_label(found[1]) for found in _LABEL.finditer(text)}
    yield from _Blocks(labels, options).read(text[start:], 1 + text.count("\n", 0, start))


class _Blocks:
    """Reads the blocks of a document line by line."""

    def __init__(self, labels: set[str], options: DocumentOptions) -> None:
        self._labels = labels
        self._options = options
        self._paragraph: list[_Line] = []
        self._offsets: list[int] = []  # columns where the content of the open lists begins
        self._lines: list[str] = []
        self._at = 0
        self._consumed = 0  # characters of the current line that were yielded
        self._first = 1  # number of the first line

    def read(self, text: str, first: int) -> Iterator[Item]:
        """Yield the items of a text."""
        self._lines = [line for line in re.split(r"(?<=\n)", text) if line]
        self._first = first
        while self._at < len(self._lines):
            line = self._line()
            if not line.body.strip():
                yield from self._flush()
                yield line.raw
                self._advance()
            else:
                yield from self._block(line)
        yield from self._flush()

    def _advance(self) -> None:
        self._at += 1
        self._consumed = 0

    def _line(self, ahead: int = 0) -> _Line:
        """Return the current line, or the line ``ahead`` lines after it."""
        index = self._at + ahead
        raw = self._lines[index] if index < len(self._lines) else ""
        whole = raw.removesuffix("\n").removesuffix("\r")
        start = at = 0 if ahead else self._consumed
        quotes = 0
        spaces = 3 + (self._offsets[-1] if self._offsets else 0)
        while (quote := _QUOTE.match(whole, at)) and len(quote[1]) <= spaces:
            at = quote.end()
            quotes += 1
        text = whole[at:].lstrip(" \t")
        column = len(whole[: len(whole) - len(text)].expandtabs(4))
        marks = sum(len(mark) for mark in re.findall(r"> ?", whole[:at]))
        prefix = whole[start : len(whole) - len(text)]
        return _Line(self._first + index, prefix, text, raw[len(whole) :], column - marks, quotes)

    def _block(self, line: _Line) -> Iterator[Item]:
        """Yield the block that begins with a line, or add the line to the paragraph."""
        if self._paragraph and line.quotes > self._paragraph[0].quotes:
            yield from self._flush()
        if not self._paragraph and not self._consumed:
            while self._offsets and line.column < self._offsets[-1]:
                self._offsets.pop()
        base = self._offsets[-1] if self._offsets else 0
        deep = line.column >= base + 4 and not self._consumed
        if deep and not self._paragraph:  # indented code
            yield line.raw
            self._advance()
        elif deep:
            self._add(line)
        elif (special := self._special(line)) is not None:
            yield from self._flush()
            yield from special
        elif marker := self._marker(line):
            yield from self._flush()
            yield from self._begin_item(line, marker)
        else:
            self._add(line)

    def _add(self, line: _Line) -> None:
        self._paragraph.append(line)
        self._advance()

    def _special(self, line: _Line) -> Iterator[Item] | None:
        """Return the items of a block; None: it is a paragraph or a list item."""
        body = line.body
        if fence := _FENCE.match(body):
            closing = re.compile(rf"{re.escape(fence[1][0])}{{{len(fence[1])},}}[ \t]*$")
            if "`" not in fence[2] or fence[1][0] != "`":
                return self._until(lambda text: bool(closing.match(text)), skip=1)
        if body.startswith("$$"):
            return self._until(lambda text: text.rstrip().endswith("$$"), skip=body.strip() == "$$")
        for begin, end in _HTML_ENDS:
            if begin.match(body):
                return self._until(lambda text, end=end: bool(end.search(text)))  # type: ignore[misc]
        if _HTML_BLOCK.match(body) or (not self._paragraph and _HTML_LINE.match(body)):
            return self._html()
        if heading := _HEADING.match(body):
            return self._heading(line, heading)
        if _RULE.match(body) or (self._paragraph and _UNDERLINE.match(body)):
            return self._kept_line(line)
        if not self._paragraph and _KEPT_LINE.match(body):
            return self._kept_line(line)
        if "|" in body and self._delimits(self._line(1).body):
            return self._table(line)
        return None

    def _delimits(self, body: str) -> bool:
        return "|" in body and _DELIMITERS.match(body) is not None

    def _kept_line(self, line: _Line) -> Iterator[Item]:
        if _ADMONITION.match(line.body):
            self._open(line.column, line.column + 4)
        yield line.raw
        self._advance()

    def _until(self, ends: Callable[[str], bool], skip: int = 0) -> Iterator[Item]:
        """Yield lines unchanged up to one that ends the block, which the first ``skip`` cannot."""
        while self._at < len(self._lines):
            line = self._line()
            yield line.raw
            self._advance()
            if skip <= 0 and ends(line.body):
                return
            skip -= 1

    def _html(self) -> Iterator[Item]:
        """Yield an HTML block, which ends at a blank line."""
        raws: list[str] = []
        first = self._line().number
        while self._at < len(self._lines) and (line := self._line()).body.strip():
            raws.append(line.raw)
            self._advance()
        if any(line.startswith(">") for line in raws):  # block quote markers are not HTML
            yield "".join(raws)
            return
        for item in read_html("".join(raws), self._options):
            yield replace(item, line=item.line + first - 1) if isinstance(item, Segment) else item

    def _heading(self, line: _Line, found: re.Match[str]) -> Iterator[Item]:
        yield line.prefix + found[1]
        yield from self._inline(found[2], line.number)
        yield found[3] + line.end
        self._advance()

    def _table(self, line: _Line) -> Iterator[Item]:
        """Yield a table: its header, the line below it, and its rows."""
        rows = 0
        while self._at < len(self._lines) and (line := self._line()).body.strip():
            if rows == 1:
                yield line.raw
            elif rows > 1 and self._special(line) is not None:
                return
            else:
                yield line.prefix
                for cell in _CELL.finditer(line.body):
                    body = cell[1].strip()
                    start = cell[1].find(body)
                    yield cell[1][:start]
                    yield from self._inline(body, line.number, specials=f"{SPECIALS}|")
                    yield cell[1][start + len(body) :] + cell[2]
                yield line.end
            rows += 1
            self._advance()

    def _marker(self, line: _Line) -> re.Match[str] | None:
        """Return the marker at the beginning of a list item or a footnote; None: there is none."""
        found = _NOTE.match(line.body) or _MARKER.match(line.body)
        if found is None or not self._paragraph:
            return found
        number = found[0].strip().rstrip(".)")
        if found.end() == len(line.body) or (
            number.isdigit() and number != "1" and not self._offsets
        ):
            return None  # the line continues a paragraph, e.g. with a year and a period
        return found

    def _begin_item(self, line: _Line, found: re.Match[str]) -> Iterator[Item]:
        mark = found[0]
        is_note = mark.lstrip().startswith("[^")
        self._open(line.column, line.column + (4 if is_note else len(mark.rstrip()) + 1))
        task = _TASK.match(line.body, found.end())
        yield line.prefix + line.body[: task.end() if task else found.end()]
        self._consumed += len(line.prefix) + (task.end() if task else found.end())

    def _open(self, column: int, offset: int) -> None:
        """Open a list item: its marker is at ``column``, its content begins at ``offset``."""
        while self._offsets and column < self._offsets[-1]:
            self._offsets.pop()
        self._offsets.append(offset)

    def _flush(self) -> Iterator[Item]:
        """Yield the paragraph that is not complete yet."""
        lines, self._paragraph = self._paragraph, []
        if not lines:
            return
        yield lines[0].prefix
        raw = "\n".join(line.body for line in lines)
        joints = [a.end + b.prefix for a, b in pairwise(lines)]
        trailing = raw[len(raw.rstrip(" \t")) :]
        tokens = InlineReader(self._labels, lines[0].number).read(raw[: len(raw) - len(trailing)])
        text = "".join(token.raw for token in tokens if isinstance(token, Text))
        widths = [len(line.body) for line in lines]
        form = BlockForm(text, widths=widths, joint=joints[0] if joints else "\n")
        yield from _segments(tokens, joints, form, lines[0].number)
        yield trailing + lines[-1].end

    def _inline(self, raw: str, line: int, specials: str = SPECIALS) -> Iterator[Item]:
        tokens = InlineReader(self._labels, line).read(raw)
        text = "".join(token.raw for token in tokens if isinstance(token, Text))
        if tokens:
            yield Segment(line, tuple(tokens), MarkdownForm(text, specials=specials))


def _segments(
    tokens: Sequence[Text | Tag], joints: Sequence[str], form: BlockForm, line: int
) -> Iterator[Item]:
    """Yield the segments of a paragraph; a hard break outside of all pairs of tags ends one."""
    left = iter(joints)

    def joined(raw: str) -> str:
        return re.sub(r"\r?\n", lambda found: next(left, found[0]), raw)

    found: list[Text | Tag] = []
    depth = lines = 0
    for token in tokens:
        lines += raw_text(token).count("\n")
        if isinstance(token, Text):
            text = re.sub(r"[ \t]*\r?\n[ \t]*", " ", token.text)
            found.append(Text(joined(token.raw), text))
            continue
        depth += (token.kind == TagKind.OPEN) - (token.kind == TagKind.CLOSE)
        parts = tuple(joined(part) if isinstance(part, str) else part for part in token.parts)
        if token.kind == TagKind.BREAK and depth == 0:
            if found:
                yield Segment(line, tuple(found), form)
            yield from parts
            found = []
        else:
            found.append(replace(token, parts=parts))
    if found:
        yield Segment(line, tuple(found), form)
