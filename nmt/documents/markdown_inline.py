"""Reads the inline markup of Markdown: CommonMark 0.31, section 6, and additions of GitHub.

Emphasis, links and images are pairs of tags around their text. Code, formulas, addresses, footnote
marks and HTML are tags.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from nmt.documents.html_documents import INLINE, KEPT, tag_items
from nmt.documents.html_tokens import VOID, HtmlToken, html_text, html_tokens
from nmt.documents.markdown_form import REFERENCE, MarkdownForm, is_punctuation
from nmt.documents.segments import IN_ORDER, Segment, Tag, TagKind, Text, spelled, tag

_PUNCTUATION = "!-/:-@\\[-`{-~"
_BACKTICKS = re.compile(r"`+")
_OPENING = re.compile(r"!?\[")
_HARD_BREAK = re.compile(r"( {2,}\r?\n|\\\r?\n)")
_KEPT = re.compile(
    r"<[A-Za-z][A-Za-z0-9+.-]{1,31}:[^<>\s]*>|<[\w.+-]+@[\w.-]+>"  # addresses in angle brackets
    r"|\$\$[^$]+\$\$|\$(?![\s$])(?:[^$\\\n]|\\.)*(?<!\s)\$(?!\d)|\\\(.+?\\\)"  # formulas
    r"|\[\^[^\]\s]+\]"  # a footnote mark
    r"|(?<![\w/])(?:https?://|www\.)[^\s<>*_`\[\]\"']*[^\s<>*_`\[\]\"'.,;:!?)]"
    r"|(?<![\w:]):[a-z][a-z0-9_+-]+:(?![\w:])"  # an emoji by its name
)
_HTML = re.compile(
    r"</?[A-Za-z][\w-]*(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>|<!--.*?-->|<\?.*?\?>", re.DOTALL
)
_DESTINATION = re.compile(
    r"\]\(\s*(?:<[^<>\n]*>|(?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*\))*)"
    r"(?:\s+(?P<title>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\((?:[^()\\]|\\.)*\)))?\s*\)"
    r"(?:\{[:.#][^{}\n]*\})?"
)
_LABEL = re.compile(r"\]\[(?P<label>(?:[^\[\]\\]|\\.)*)\]")
_PLAIN = re.compile(r"[^\\`<>$\[\]!*_~:hw\n&]+")
_ESCAPE = re.compile(rf"\\[{_PUNCTUATION}]")
_RUN = re.compile(r"\*+|_+|~~")


@dataclass
class _Run:
    """A run of equal delimiters of emphasis."""

    text: str
    opens: bool
    closes: bool
    left: int
    opened: list[Tag] = field(default_factory=list)  # innermost first
    closed: list[Tag] = field(default_factory=list)

    def tokens(self) -> list[Text | Tag]:
        rest = self.text[0] * self.left
        return [*self.closed, *([Text(rest, rest)] if rest else []), *reversed(self.opened)]


_Node = Text | Tag | _Run


class InlineReader:
    """Reads the inline markup of one block."""

    def __init__(self, labels: Collection[str], line: int) -> None:
        """Take the labels that the document defines, and the line of the block."""
        self._labels = labels
        self._line = line
        self._nodes: list[_Node] = []
        self._brackets: list[int] = []  # indices of the nodes of opening brackets
        self._pairs = 0

    def read(self, raw: str) -> list[Text | Tag]:
        """Return the text and tags of a block; joining their sources gives the block."""
        for index, part in enumerate(_HARD_BREAK.split(raw)):
            if index % 2:
                self._nodes.append(tag(TagKind.BREAK, part))
                continue
            at = 0
            while at < len(part):
                at = self._step(part, at)
        self._match_emphasis(0)
        found: list[Text | Tag] = []
        for node in self._nodes:
            for token in node.tokens() if isinstance(node, _Run) else [node]:
                last = found[-1] if found else None
                if isinstance(token, Text) and isinstance(last, Text):
                    found[-1] = Text(last.raw + token.raw, last.text + token.text)
                else:
                    found.append(token)
        return found

    def _step(self, raw: str, at: int) -> int:
        """Read the token that begins at a position, and return where it ends."""
        if found := _PLAIN.match(raw, at):
            self._nodes.append(Text(found[0], found[0]))
        elif found := _KEPT.match(raw, at):
            self._nodes.append(tag(TagKind.SINGLE, found[0]))
        elif found := _ESCAPE.match(raw, at):
            self._nodes.append(Text(found[0], found[0][1]))
        elif found := _BACKTICKS.match(raw, at):
            return self._code(raw, at, found[0])
        elif found := _HTML.match(raw, at):
            return self._html(raw, at, found[0])
        elif found := REFERENCE.match(raw, at):
            self._nodes.append(Text(found[0], html_text(found[0])))
        elif found := _OPENING.match(raw, at):
            self._brackets.append(len(self._nodes))
            self._nodes.append(Text(found[0], found[0]))
        elif raw[at] == "]" and self._brackets:
            return self._link(raw, at)
        elif found := _RUN.match(raw, at):
            self._run(raw, found)
        else:
            self._nodes.append(Text(raw[at], raw[at]))
            return at + 1
        return found.end()

    def _code(self, raw: str, at: int, ticks: str) -> int:
        for found in _BACKTICKS.finditer(raw, at + len(ticks)):
            if found[0] == ticks:
                self._nodes.append(tag(TagKind.SINGLE, raw[at : found.end()]))
                return found.end()
        self._nodes.append(Text(ticks, ticks))
        return at + len(ticks)

    def _html(self, raw: str, at: int, spelling: str) -> int:
        end = at + len(spelling)
        token = next(html_tokens(spelling))
        if token.name in KEPT and not token.is_end:
            closing = re.compile(rf"</{token.name}\s*>", re.IGNORECASE).search(raw, end)
            end = closing.end() if closing else end
            self._nodes.append(tag(TagKind.SINGLE, raw[at:end]))
        else:
            self._nodes.append(_html_tag(token))
        return end

    def _run(self, raw: str, run: re.Match[str]) -> None:
        """Add a run of delimiters; its neighbors show whether it can open or close emphasis."""
        before = raw[run.start() - 1 : run.start()] or " "
        after = raw[run.end() : run.end() + 1] or " "
        spaces = before.isspace(), after.isspace()
        punctuation = is_punctuation(before), is_punctuation(after)
        left = not spaces[1] and (not punctuation[1] or spaces[0] or punctuation[0])
        right = not spaces[0] and (not punctuation[0] or spaces[1] or punctuation[1])
        opens, closes = left, right
        if run[0][0] == "_":
            opens, closes = (
                left and (not right or punctuation[0]),
                right and (not left or punctuation[1]),
            )
        self._nodes.append(_Run(run[0], opens, closes, len(run[0])))

    def _link(self, raw: str, at: int) -> int:
        """Read the end of a link or an image from ``]`` on, or keep the brackets as text."""
        start = self._brackets.pop()
        opening = self._nodes[start]
        assert isinstance(opening, Text)
        text = "".join(
            node.text if isinstance(node, _Run) else raw_text(node)
            for node in self._nodes[start + 1 :]
        )
        changed = None
        found = _DESTINATION.match(raw, at) or _LABEL.match(raw, at)
        label = found["label"] if found is not None and found.re is _LABEL else None
        if label is not None and normal_label(label or text) not in self._labels:
            found = None
        if found is None and normal_label(text) not in self._labels:
            self._nodes.append(Text("]", "]"))
            return at + 1
        spelling = found[0] if found is not None else "]"
        if found is None or label == "":
            changed = f"][{text}]"  # the label of a link is its text, which changes
        self._match_emphasis(start + 1)
        self._pairs += 1
        key = f"[{self._pairs}"
        self._nodes[start] = tag(TagKind.OPEN, opening.raw, key)
        if found is not None and label is None and found["title"]:
            self._nodes.append(self._titled(found, at, key))
        else:
            self._nodes.append(tag(TagKind.CLOSE, spelling, key, changed))
        if opening.raw == "[":
            self._brackets.clear()  # a link contains no link
        return at + len(spelling)

    def _titled(self, found: re.Match[str], at: int, key: str) -> Tag:
        """Return the closing tag of a link; the title of the link is a segment."""
        start, end = found.start("title") - at + 1, found.end("title") - at - 1
        raw = found[0][start:end]
        text = _ESCAPE.sub(lambda escape: escape[0][1], html_text(raw))
        form = MarkdownForm(raw, specials=f"\\{found['title'][-1]}")
        title = Segment(self._line, (Text(raw, text),), form)
        return Tag(TagKind.CLOSE, (found[0][:start], title, found[0][end:]), key)

    def _match_emphasis(self, start: int) -> None:
        """Pair the delimiters from this node on (CommonMark, "process emphasis")."""
        openers: list[_Run] = []
        for node in self._nodes[start:]:
            if not isinstance(node, _Run):
                continue
            while node.closes and node.left:
                opener = next((one for one in reversed(openers) if _fits(one, node)), None)
                if opener is None:
                    break
                del openers[openers.index(opener) + 1 :]
                size = 2 if min(opener.left, node.left) >= 2 else 1
                self._pairs += 1
                key, raw = f"{node.text[0]}{self._pairs}", node.text[:size]
                opener.opened.append(tag(TagKind.OPEN, raw, key))
                node.closed.append(tag(TagKind.CLOSE, raw, key))
                opener.left -= size
                node.left -= size
                if not opener.left:
                    openers.remove(opener)
            if node.opens and node.left:
                openers.append(node)
        for node in self._nodes[start:]:
            if isinstance(node, _Run):
                node.opens = node.closes = False


def _fits(opener: _Run, closer: _Run) -> bool:
    """Return whether two runs can be a pair, by CommonMark's rule about multiples of 3."""
    if opener.text[0] != closer.text[0] or not opener.left:
        return False
    if opener.text[0] == "~":
        return True
    sizes = len(opener.text), len(closer.text)
    if (opener.closes or closer.opens) and sum(sizes) % 3 == 0:
        return sizes[0] % 3 == 0 and sizes[1] % 3 == 0
    return True


def _html_tag(token: HtmlToken) -> Tag:
    parts = tuple(tag_items(token)) if token.name else (token.raw,)
    if token.name == "br":
        return Tag(TagKind.BREAK, parts)
    if not token.name or token.name in VOID or token.name not in INLINE:
        return Tag(TagKind.CLOSE, parts, IN_ORDER)
    return Tag(TagKind.CLOSE if token.is_end else TagKind.OPEN, parts, f"<{token.name}>")


def raw_text(token: Text | Tag) -> str:
    """Return a token as the document spells it."""
    return token.raw if isinstance(token, Text) else spelled(token.parts)


def normal_label(label: str) -> str:
    """Return a link label without case and additional white space, for comparison."""
    return " ".join(label.split()).casefold()
