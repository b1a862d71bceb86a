"""Finds the ranges of a segment's text that are translated separately."""

import re
from collections.abc import Callable

from nmt.documents.protection import Span
from nmt.documents.segments import Form

Split = Callable[[str, bool], list[str]]
"""Returns the parts of a line. True: split it into sentences; False: only if it is too long."""


def sentence_spans(text: str, form: Form, split: Split) -> list[Span]:
    """Return the ranges of the parts of a text that have a letter.

    Args:
        text: The text of a segment.
        form: Says whether lines and sentences are translated separately.
        split: Cuts a line into parts; only white space between parts may be lost.
    """
    spans: list[Span] = []
    start = 0
    for line in re.split(r"[\n\t]", text) if form.keeps_lines else [text]:
        at = start
        for part in split(line, form.by_sentences):
            at = text.find(part, at)
            if at < 0:  # the splitter changed characters: the whole text is one part
                return [(0, len(text))]
            if any(character.isalpha() for character in part):
                spans.append((at, at + len(part)))
            at += len(part)
        start += len(line) + 1
    return spans
