"""Decodes input lines, and handles lines that cannot be translated."""

from collections import Counter
from collections.abc import Callable

from nmt.cli.translation.input_lines import LONGEST, RawLine
from nmt.cli.translation.line_choices import LineErrors
from nmt.errors import UserError

SHOWN_WARNINGS = 10  # of each kind; at the end, a message has the number of all


class LineFaultError(UserError):
    """A line that cannot be translated."""


class Warnings:
    """Warnings about lines: shows the first ones of each kind, and at the end the number of all."""

    def __init__(self, show: Callable[[str], None]) -> None:
        """Pass each message to a function."""
        self._show = show
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, message: str) -> None:
        """Warn about a line.

        Args:
            kind: Describes the lines; the last message has it before their number.
            message: The message about this line.
        """
        self._counts[kind] += 1
        if self._counts[kind] <= SHOWN_WARNINGS:
            self._show(f"warning: {message}")

    def close(self) -> None:
        """Show the number of warnings of each kind."""
        for kind, count in self._counts.items():
            self._show(f"{kind}: {count:,}")
        self._counts.clear()


class LineFaults:
    """Decodes lines, and treats faulty ones as the user chose.

    Attributes:
        errors: What happens at a faulty line.
        warnings: Counts and shows the warnings.
        place: Returns the name of a line in messages.
    """

    def __init__(self, errors: LineErrors, place: Callable[[int], str], warnings: Warnings) -> None:
        """Treat faulty lines; ``place`` returns the name of a line in messages."""
        self.errors = errors
        self.warnings = warnings
        self.place = place

    def decoded(self, line: RawLine) -> str:
        """Return the text of a line.

        Raises:
            LineFaultError: The line is faulty, and the choice is ``strict``.
        """
        if line.content is None:
            return self.skipped(
                line.number,
                f"has {line.size:,} bytes, more than the limit of {LONGEST >> 20} MiB",
                "end each sentence with a line feed, or",
            )
        try:
            return line.content.decode("utf-8")
        except UnicodeDecodeError as error:
            return self._undecodable(line.number, line.content, error)

    def skipped(self, number: int, problem: str, remedy: str) -> str:
        """Return the empty text of a faulty line.

        Raises:
            LineFaultError: The choice is ``strict``.
        """
        if self.errors == LineErrors.STRICT:
            raise LineFaultError(
                f"{self.place(number)} {problem}; {remedy} add --errors skip-blank to leave its "
                "output line empty"
            )
        self.warnings.add(
            "lines that could not be translated and are empty in the output",
            f"{self.place(number)} {problem}; its output line is empty",
        )
        return ""

    def _undecodable(self, number: int, content: bytes, error: UnicodeDecodeError) -> str:
        from nmt.data.sources.encodings import (
            iconv_name,
            likely_encoding,
            marked_encoding,
            utf16_without_mark,
        )

        byte = content[error.start]
        problem = f"is not UTF-8: it contains the byte 0x{byte:02x}"
        if self.errors == LineErrors.REPLACE:
            self.warnings.add(
                "lines with U+FFFD in place of bytes that are not UTF-8",
                f"{self.place(number)} {problem}, which U+FFFD replaces",
            )
            return content.decode("utf-8", errors="replace")
        codec, words = likely_encoding(content)
        if number == 1 and (wide := marked_encoding(content) or utf16_without_mark(content)):
            codec, words = wide, wide.upper()
        return self.skipped(
            number,
            f"{problem} and looks like {words}",
            f"convert it, for example with: iconv -f {iconv_name(codec)} -t UTF-8; or add --errors "
            "replace to put U+FFFD in its place; or",
        )
