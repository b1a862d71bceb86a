"""Where `nmt translate` writes: standard output or a file, one answer at a time.

A file is written directly. So after an error, Ctrl-C or a crash, it has all earlier translations.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from nmt.cli.text_streams import safe_line, utf8_stream
from nmt.durable_file import remedy
from nmt.errors import UserError


class AnswerOutput:
    """Writes lines of text and counts the answers.

    Attributes:
        path: The file; None: standard output.
        answers: Number of input lines whose answers have been written and flushed.
    """

    def __init__(self, stream: TextIO, path: Path | None) -> None:
        """Write to a stream."""
        self.path = path
        self.answers = 0
        self._stream = stream

    @property
    def on_terminal(self) -> bool:
        """Whether the lines appear on a terminal."""
        return self._stream.isatty()

    def write(self, answers: Sequence[Sequence[str]]) -> None:
        """Write the lines of several answers, and flush them.

        Raises:
            UserError: They could not be written.
        """
        try:
            for lines in answers:
                self._stream.writelines(f"{safe_line(line, self._stream)}\n" for line in lines)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            complete = f"the answers to the first {self.answers:,} lines are complete"
            raise self._failure(error, complete) from error
        self.answers += len(answers)

    def close(self) -> None:
        """Close the stream; some disks report a failed write only now.

        Raises:
            UserError: It could not be written.
        """
        try:
            self._stream.close()
        except OSError as error:
            raise self._failure(error, "it may be incomplete") from error

    def _failure(self, error: OSError, consequence: str) -> UserError:
        place = "standard output" if self.path is None else f"--output {self.path}"
        return UserError(
            f"cannot write {place}: {error.strerror or error}; {remedy(error)}; {consequence}"
        )


@contextmanager
def open_output(path: Path | None, source: Path | None) -> Iterator[AnswerOutput]:
    """Open the output; an existing file is replaced, as by the shell's ``>``.

    Args:
        path: A file; None or ``-``: standard output.
        source: The input file, which must differ from the output; None: there is none.

    Raises:
        UserError: The file cannot be written.
    """
    if path is None or str(path) == "-":
        yield AnswerOutput(utf8_stream(sys.stdout), None)
        return
    check_output(path, source)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w", encoding="utf-8", newline="\n")
    except (OSError, ValueError) as error:
        hint = f"; {remedy(error)}" if isinstance(error, OSError) else ""
        raise UserError(f"cannot write --output {path}: {_reason(error)}{hint}") from error
    output = AnswerOutput(file, path)
    try:
        yield output
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to report
            file.close()
        raise
    output.close()


def check_output(path: Path, source: Path | None) -> None:
    """Refuse an output file that is a folder or the input.

    Raises:
        UserError: The output is a folder or the input.
    """
    if path.is_dir():
        raise UserError(f"--output {path} is a folder; give the name of a file in it")
    if source is not None and path.is_file() and source.is_file() and path.samefile(source):
        raise UserError(f"--output {path} is the input file; choose another name")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
