"""Reads lines as they arrive: all lines that have arrived are returned together.

Only LF ends a line; a CR before it is removed. Every other character is part of a line. A
byte-order mark at the beginning of the input is removed.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nmt.cli.translation.byte_sources import ByteSource, refuse_other_kind

LONGEST = 1 << 20  # bytes of a line; a longer one is skipped and not kept in memory
MOST_BYTES = 1 << 20  # bytes of lines that are read together; no line is added beyond them
PATIENCE = 0.02  # seconds in which later lines are added to the first one

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class RawLine:
    """A line of the input as bytes.

    Attributes:
        number: Number of the line, from 1.
        content: The bytes without the line end; None: the line is longer than the limit.
        size: Number of bytes.
    """

    number: int
    content: bytes | None
    size: int


class LineReader:
    """Splits a source into lines.

    Attributes:
        source: The source of the bytes.
    """

    def __init__(
        self,
        source: ByteSource,
        *,
        longest: int = LONGEST,
        patience: float = PATIENCE,
        before_wait: Callable[[], None] = lambda: None,
    ) -> None:
        """Read from a source.

        Args:
            source: The source of the bytes.
            longest: Bytes of the longest line that is not skipped.
            patience: Seconds to wait for further lines after the first one.
            before_wait: Called before each wait for a first line, e.g. to show a prompt.
        """
        self.source = source
        self._longest = longest
        self._patience = patience
        self._before_wait = before_wait
        self._whole: deque[RawLine] = deque()
        self._number = 0
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._ended = False

    def read(self, most: int) -> list[RawLine]:
        """Wait for a line, and return it with the later lines that have arrived; empty at the end.

        Args:
            most: The greatest number of lines to return.

        Raises:
            UserError: The source cannot be read, or is not text.
        """
        lines: list[RawLine] = []
        size = 0
        deadline = None
        while len(lines) < most and size < MOST_BYTES:
            if self._whole:
                lines.append(self._whole.popleft())
                size += lines[-1].size
            elif self._ended or (lines and not self._at_hand(deadline)):
                break
            else:
                if not lines:
                    self._before_wait()
                self._receive(self.source.read())
                deadline = deadline or (time.monotonic() + self._patience if self._whole else None)
        return lines

    def _at_hand(self, deadline: float | None) -> bool:
        left = self._patience if deadline is None else deadline - time.monotonic()
        return self.source.ready(max(0.0, left))

    def _receive(self, block: bytes) -> None:
        if not block:
            self._ended = True
            if self._partial_size:
                self._finish(b"")
            return
        if not self._number and not self._partial_size:
            refuse_other_kind(block, self.source.name)
        *ends, rest = block.split(b"\n")
        for end in ends:
            self._finish(end)
        self._extend(rest)

    def _extend(self, part: bytes) -> None:
        self._partial_size += len(part)
        if self._partial_size <= self._longest:
            self._partial.append(part)
        else:
            self._partial.clear()

    def _finish(self, end: bytes) -> None:
        """Complete the line that is being read."""
        self._extend(end)
        self._number += 1
        content = None
        if self._partial_size <= self._longest:
            content = b"".join(self._partial).removesuffix(b"\r")
            if self._number == 1:
                content = content.removeprefix(_BYTE_ORDER_MARK)
        self._whole.append(RawLine(self._number, content, self._partial_size))
        self._partial, self._partial_size = [], 0
