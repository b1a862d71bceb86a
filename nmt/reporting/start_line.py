"""Shows what `nmt train` and `nmt prepare` do in the seconds before their first message.

A terminal shows one line, which is replaced by the next. Other streams get one plain line after
the configuration is checked, so that a configuration error is the only line.

Only the process that the user started shows these lines; workers of a launcher show nothing.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nmt.process_exit import is_printing_process
from nmt.reporting.command_progress import CommandProgress


class _Start:
    """The start of the command that runs in this process."""

    command = ""
    progress: CommandProgress | None = None
    shown = False


@contextmanager
def started(command: str) -> Iterator[None]:
    """Show on a terminal that a command reads its configuration, until `end` or `show`."""
    with CommandProgress() as progress:
        _Start.command, _Start.progress, _Start.shown = command, progress, False
        progress.show("reading the configuration")
        try:
            yield
        finally:
            _Start.command, _Start.progress = "", None


def show(verb: str, name: str) -> None:
    """Show what the command does next, e.g. "loading" "PyTorch"; not a terminal: once only."""
    if _Start.progress is None:
        return
    if _Start.progress.shown:
        _Start.progress.show(verb, name)
    elif not _Start.shown and is_printing_process():
        print(f"{_Start.command}: {verb} {name}", file=sys.stderr, flush=True)
    _Start.shown = True


def end() -> None:
    """Erase the line before other text is printed; `show` may write a line again."""
    if _Start.progress is not None:
        _Start.progress.clear()
