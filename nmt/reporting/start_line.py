"""Shows what `nmt train` and `nmt prepare` do in the seconds before their first message.

A terminal shows it in one line that is replaced. Other streams get one plain line, once the
configuration is known to be correct, so that an error of the configuration stays one line.

The state belongs to the process that the user started: workers of a launcher show nothing.
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
    told = False


@contextmanager
def started(command: str) -> Iterator[None]:
    """Show on a terminal that a command reads its configuration, until `end` or another text."""
    with CommandProgress() as progress:
        _Start.command, _Start.progress, _Start.told = command, progress, False
        progress.show("reading the configuration")
        try:
            yield
        finally:
            _Start.command, _Start.progress = "", None


def show(verb: str, name: str) -> None:
    """Show what the command does next, e.g. "loading" "PyTorch"; other streams get one line."""
    if _Start.progress is None:
        return
    if _Start.progress.shown:
        _Start.progress.show(verb, name)
    elif not _Start.told and is_printing_process():
        print(f"{_Start.command}: {verb} {name}", file=sys.stderr, flush=True)
    _Start.told = True


def end() -> None:
    """Erase the line, before anything else is printed; `show` may show it again."""
    if _Start.progress is not None:
        _Start.progress.clear()
