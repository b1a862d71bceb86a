"""Options of `nmt translate` for constraints on the translations of all lines or of each line."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.decoding.constrained.constraints import Constraints

KEYS = ("prefix", "require", "forbid")
"""The keys of a line of ``--constraints``."""


@dataclass(frozen=True)
class ConstraintOptions:
    """The options as given."""

    prefix: Annotated[
        str | None, typer.Option(help="Begin every translation with this text. [none]")
    ] = None
    prefix_file: Annotated[
        Path | None,
        typer.Option(help="Begin each translation with the text of the same line of this file."),
    ] = None
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<phrase>",
            help="A word or phrase that every translation has; may be repeated. [none]",
        ),
    ] = None
    forbid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<phrase>",
            help="A word or phrase that no translation has; may be repeated. [none]",
        ),
    ] = None
    constraints: Annotated[
        Path | None,
        typer.Option(
            help='A file whose lines are JSON objects for the lines of the input: {"prefix": '
            '"text", "require": ["phrase"], "forbid": ["phrase"]}, each key optional; a line may '
            "be blank."
        ),
    ] = None

    def check(self, *, samples: bool) -> None:
        """Check the options, without a model.

        Raises:
            UserError: The options contradict each other.
        """
        if self.prefix is not None and self.prefix_file is not None:
            raise UserError("give either --prefix or --prefix-file, not both")
        if self.require and samples:
            raise UserError("--require needs a search: samples cannot have required phrases")

    @property
    def given(self) -> bool:
        """Whether there are constraints."""
        return any(getattr(self, field.name) for field in fields(self))


class LineConstraints:
    """Reads the constraints of the lines, one after the other.

    Attributes:
        of_all: The constraints of every line.
    """

    def __init__(self, options: ConstraintOptions, opened: ExitStack) -> None:
        """Open the files; they are closed with ``opened``.

        Raises:
            UserError: A file cannot be read.
        """
        from nmt.decoding.constrained.constraints import Constraints

        everywhere = tuple(options.require or ()), tuple(options.forbid or ())
        self.of_all = Constraints(options.prefix or "", *everywhere)
        self._files: list[tuple[str, Path, Iterator[str]]] = []
        for name, path in (("prefix", options.prefix_file), ("JSON", options.constraints)):
            if path is not None:
                self._files.append((name, path, _lines(path, opened)))
        self._number = 0

    def next(self) -> "Constraints":
        """Return the constraints of the next line.

        Raises:
            UserError: A file has no such line, or the line is faulty.
        """
        from nmt.decoding.constrained.constraints import Constraints

        self._number += 1
        found = self.of_all
        for name, path, lines in self._files:
            line = next(lines, None)
            if line is None:
                raise UserError(
                    f"{path} ends after line {self._number - 1:,}, but the input has more lines: "
                    "give a line for each, which may be blank"
                )
            if name == "prefix":
                found = found.and_(Constraints(line if line.strip() else ""))
            elif line.strip():
                found = found.and_(_parsed(line, f"{path}, line {self._number:,}"))
        return found

    def finish(self) -> None:
        """Check that the files have no more lines than the input.

        Raises:
            UserError: A file has more lines.
        """
        for _, path, lines in self._files:
            if next(lines, None) is not None:
                raise UserError(
                    f"{path} has more lines than the input, which has {self._number:,}: give a "
                    "line for each"
                )


def _lines(path: Path, opened: ExitStack) -> Iterator[str]:
    """Yield the lines of a file, which may be compressed.

    Raises:
        UserError: It cannot be read, or a line is not UTF-8.
    """
    from nmt.cli.translation.byte_sources import open_source
    from nmt.cli.translation.input_lines import LineReader

    reader = LineReader(opened.enter_context(open_source(path)))

    def lines() -> Iterator[str]:
        while found := reader.read(1000):
            for line in found:
                try:
                    yield (line.content or b"").decode()
                except UnicodeDecodeError as error:
                    raise UserError(f"{path}, line {line.number:,} is not UTF-8") from error

    return lines()


def _parsed(line: str, place: str) -> "Constraints":
    """Return the constraints of a line of JSON.

    Raises:
        UserError: The line does not have the expected form.
    """
    from nmt.decoding.constrained.constraints import Constraints

    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is not JSON: write one object, as {{}}") from error
    if not isinstance(record, dict):
        raise UserError(f"{place} is not a JSON object: write one, as {{}}")
    if unknown := [key for key in record if key not in KEYS]:
        raise UserError(f"{place} has the key {unknown[0]!r}; choose from {', '.join(KEYS)}")
    prefix = record.get("prefix", "")
    if not isinstance(prefix, str):
        raise UserError(f"{place}: prefix must be a text")
    return Constraints(prefix, *(_phrases(record, key, place) for key in KEYS[1:]))


def _phrases(record: dict[str, object], key: str, place: str) -> tuple[str, ...]:
    value = record.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UserError(f"{place}: {key} must be a list of texts")
    return tuple(value)
