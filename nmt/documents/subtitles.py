"""Reads subtitles in SubRip (.srt) and WebVTT (.vtt); only the text of cues is translated.

The lines of a cue are one text. Cues are translated together if a sentence continues from one to
the next; the borders of the cues are placed in the translation. Each cue is wrapped again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from itertools import chain

from nmt.documents.document_options import DocumentOptions, LineBatches
from nmt.documents.segments import IN_ORDER, Form, Item, Segment, Tag, TagKind, Text, tag
from nmt.documents.wrapping import balanced, by_breaks

LINE_WIDTH = 42
"""Maximum characters of a line of subtitles; if a source line is longer, its length."""

_MOST_CUES = 6  # maximum cues of a sentence
_TIMING = re.compile(
    r"\s*(?:\d+:)?\d{1,2}:\d{2}[,.]\d{1,3}[ \t]+-->[ \t]+(?:\d+:)?\d{1,2}:\d{2}[,.]\d"
)
_NUMBER = re.compile(r"\s*\d+\s*")
_RETURN = re.compile(r"(?<=\r)(?!\n)")
_SPEAKER = re.compile(r"\s*(?:<[^<>]*>|\{\\[^{}]*\})*\s*[-–—]")
_MARK = re.compile(r"\s*[-–—♪♫#]+\s+")  # of a speaker or a song
_ENDS = re.compile(r"[.!?…:;♪。！？]+[\"'”’»)\]]*\s*$")
_SRT_TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z]+)[^<>]*>|\{\\[^{}]*\}")
_VTT_TAG = re.compile(r"<(?P<close>/?)(?P<name>[a-z]+)[^<>]*>|<[\d:.]+>")
_REFERENCE = re.compile(r"&(?:#\d+|#x[0-9A-Fa-f]+|\w+);")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass
class _Cue:
    """The text of a cue.

    Attributes:
        line: Number of the first line of its text.
        before: The source between the texts of the previous cue and of this one.
        lines: The lines of its text without line ends.
        ends: The line ends of these lines.
    """

    line: int
    before: str
    lines: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    @property
    def speakers(self) -> bool:
        """Whether each of several lines begins with the dash of a speaker."""
        return len(self.lines) > 1 and all(_SPEAKER.match(line) for line in self.lines)


class SubtitleForm(Form):
    """Text of subtitles: balanced lines, and in WebVTT references for ``&``, ``<`` and ``>``."""

    def __init__(self, width: int, end: str, escapes: bool) -> None:
        """Wrap at this width; ``end`` ends a line."""
        self._width, self._end, self._escapes = width, end, escapes

    def encode(self, text: str) -> str:
        """See `Form`."""
        if self._escapes:
            text = "".join(_ESCAPES.get(character, character) for character in text)
        return text.replace("\n", self._end)

    def arrange(self, tokens: Sequence[str | Tag]) -> Sequence[str | Tag]:
        """See `Form`."""
        return by_breaks(tokens, balanced(self._width))


def read_srt(batches: LineBatches, options: DocumentOptions) -> Iterator[Item]:
    """Yield SubRip subtitles.

    Raises:
        UserError: There is no line with times.
    """
    yield from _document(_lines(batches), options, is_vtt=False)


def read_vtt(batches: LineBatches, options: DocumentOptions) -> Iterator[Item]:
    """Yield WebVTT subtitles; comments, styles and regions do not change.

    Raises:
        UserError: The first line is not ``WEBVTT``.
    """
    lines = _lines(batches)
    first = next(lines, "")
    if not re.match(r"WEBVTT(?:[ \t].*)?\r?\n?$", first):
        raise options.fault(1, "is not WEBVTT, with which such a file begins; fix it")
    yield first
    yield from _document(lines, options, is_vtt=True, number=1)


def _lines(batches: LineBatches) -> Iterator[str]:
    """Yield lines with their ends; a carriage return alone ends a line, too."""
    for line in chain.from_iterable(batches):
        yield from filter(None, _RETURN.split(line))


def _document(
    lines: Iterable[str], options: DocumentOptions, *, is_vtt: bool, number: int = 0
) -> Iterator[Item]:
    group: list[_Cue] = []
    rest, timed = "", is_vtt
    for cue in _cues(lines, number, is_vtt=is_vtt):
        timed = timed or any(_TIMING.match(line) for line in cue.before.split("\n"))
        if not cue.lines:
            rest = cue.before
            continue
        if not (group and _continues(group, cue)):
            yield from _items(group, is_vtt=is_vtt)
            group = []
        group.append(cue)
    yield from _items(group, is_vtt=is_vtt)
    yield rest
    if not timed and rest.strip():
        raise options.fault(None, "has no line with times, 00:00:01,000 --> 00:00:02,000; fix it")


def _cues(lines: Iterable[str], number: int, *, is_vtt: bool) -> Iterator[_Cue]:
    """Yield the cues, and at the end the rest of the document as a cue without lines.

    In SubRip, text after a blank line still belongs to the cue. In WebVTT, a line with an arrow
    ends the cue. If it has no times, it begins a block that players ignore.
    """
    cue = _Cue(number + 1, "")
    in_text = seen = False
    after_blank = True
    for line, following in _with_next(lines):
        number += 1
        timed, blank = bool(_TIMING.match(line)), not line.strip()
        numbered = bool(_NUMBER.fullmatch(line)) and (
            bool(_TIMING.match(following)) or (after_blank and not is_vtt)
        )
        after_blank = blank
        stray = seen and not is_vtt
        arrow = is_vtt and "-->" in line
        if not (blank or timed or numbered or arrow) and (in_text or stray):
            cue.line = cue.line if cue.lines else number
            body = line.removesuffix("\n").removesuffix("\r")
            cue.lines.append(body)
            cue.ends.append(line[len(body) :])
            in_text = True
            continue
        if cue.lines:
            yield cue
            cue = _Cue(number, "")
        cue.before += line
        in_text = timed
        seen |= timed
    if cue.lines:
        yield cue
        cue = _Cue(number, "")
    if cue.before:
        yield cue


def _with_next(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each line with the next one, which is empty at the end."""
    previous: str | None = None
    for line in lines:
        if previous is not None:
            yield previous, line
        previous = line
    if previous is not None:
        yield previous, ""


def _continues(group: Sequence[_Cue], cue: _Cue) -> bool:
    """Return whether the sentence at the end of a group of cues continues in the next cue."""
    last = group[-1]
    if len(group) >= _MOST_CUES or last.speakers or cue.speakers:
        return False
    end, begin = _plain(last.lines[-1]).strip(), _plain(cue.lines[0]).strip()
    return bool(end) and not _ENDS.search(end) and begin[:1].islower()


def _plain(line: str) -> str:
    return _SRT_TAG.sub("", line)


def _items(group: Sequence[_Cue], *, is_vtt: bool) -> Iterator[Item]:
    """Yield the items of cues: their text is one segment, or one segment per speaker."""
    if not group:
        return
    yield group[0].before
    width = max(LINE_WIDTH, *(len(_plain(line)) for cue in group for line in cue.lines))
    end = "\r\n" if group[0].ends[0] == "\r\n" else "\n"
    form = SubtitleForm(width, end, escapes=is_vtt)
    if group[0].speakers:
        for number, (line, after) in enumerate(zip(group[0].lines, group[0].ends, strict=True)):
            yield Segment(group[0].line + number, tuple(_tokens(line, is_vtt=is_vtt)), form)
            yield after
        return
    tokens: list[Text | Tag] = []
    for index, cue in enumerate(group):
        if index:
            tokens.append(tag(TagKind.BREAK, group[index - 1].ends[-1] + cue.before))
        for number, line in enumerate(cue.lines):
            if number:
                tokens.append(Text(cue.ends[number - 1], " "))
            tokens += _tokens(line, is_vtt=is_vtt)
    yield Segment(group[0].line, tuple(tokens), form)
    yield group[-1].ends[-1]


def _tokens(line: str, *, is_vtt: bool) -> Iterator[Text | Tag]:
    """Yield the text and the tags of a line."""
    mark = _MARK.match(line)
    at = mark.end() if mark else 0
    if mark:
        yield tag(TagKind.SINGLE, mark[0])
    for found in (_VTT_TAG if is_vtt else _SRT_TAG).finditer(line):
        if found.start() < at:
            continue
        if found.start() > at:
            yield _text(line[at : found.start()], is_vtt=is_vtt)
        at = found.end()
        if found["name"] is None:  # a time inside a cue, or a command such as {\an8}
            yield tag(TagKind.CLOSE, found[0], IN_ORDER)
        else:
            kind = TagKind.CLOSE if found["close"] else TagKind.OPEN
            yield tag(kind, found[0], found["name"].lower())
    if at < len(line):
        yield _text(line[at:], is_vtt=is_vtt)


def _text(raw: str, *, is_vtt: bool) -> Text:
    return Text(raw, _REFERENCE.sub(lambda r: unescape(r[0]), raw) if is_vtt else raw)
