"""Checks paths before a command uses them, and refuses those that no file can have."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from nmt.errors import UserError

_SHOWN = 60  # characters of a path in the message


def refuse_impossible_paths(group: typer.Typer) -> None:
    """Make the commands of a group check their paths.

    `Path.exists` raises an error for a name that is too long, or for a path in a locked folder.
    """
    for registered in group.registered_commands:
        assert registered.callback is not None
        registered.callback = _checked(registered.callback)


def _checked(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def call(*args: Any, **options: Any) -> Any:
        for value in options.values():
            for path in value if isinstance(value, list | tuple) else (value,):
                if isinstance(path, Path):
                    _check(path)
        return command(*args, **options)

    return call


def _check(path: Path) -> None:
    """Check that a path exists or can be created.

    Raises:
        UserError: The path is too long, contains a NUL, is a link to itself, or is in a locked
            folder.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        name = str(path)
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot use the path {shown}: {reason}") from error
