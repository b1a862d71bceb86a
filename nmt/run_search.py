"""Finds run folders on disk: all in a folder, the newest, and the one with a similar name."""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

_MOST = 10_000  # entries of a folder that are read
_SHOWN = 3


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run folder."""
    # os.path returns False for a path that cannot be read; Path would raise an error.
    return os.path.isdir(folder / "checkpoints") or os.path.isfile(folder / "config.json")


def runs_in(folder: Path) -> list[Path]:
    """Return the runs directly in a folder, the newest first; none if it cannot be read."""
    found = [path for path in _entries(folder) if is_run(path)]
    return sorted(found, key=_time, reverse=True)


def run_hint(path: Path) -> str:
    """Return a clause that names runs that the user may mean by a wrong path; empty: none.

    For a folder that is not a run, these are the newest runs in it. For a path that does not exist,
    it is the run with a similar name, or the newest runs of the parent folder. The clause begins
    with ``; ``.
    """
    if os.path.isdir(path):
        newest = runs_in(path)[:_SHOWN]
        return f"; its newest runs: {', '.join(map(str, newest))}" if newest else ""
    names = {run.name: run for run in runs_in(path.parent)}
    if path.parent == Path() and not names:  # `demo` for `runs/demo`
        names = {run.name: run for run in runs_in(Path("runs"))}
        path = Path("runs", path)
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {names[near[0]]}?"
    if not names:
        return ""
    newest = list(names.values())[:_SHOWN]
    return f"; the newest runs in {path.parent}: {', '.join(str(run) for run in newest)}"


def path_words(word: str, *, runs: bool) -> list[str]:
    """Return the paths that begin with the typed word; folders end in ``/``.

    Args:
        word: The beginning of a path; ``~`` is the home folder.
        runs: Whether to return only runs, checkpoints, and folders that may contain them. A run
            has no ``/`` at its end, because the word is then complete.
    """
    typed, slash, begin = word.rpartition("/")
    if not slash and begin.startswith("~"):
        return []
    folder = Path(os.path.expanduser(typed + slash) or ".")
    words = []
    for path in sorted(_entries(folder)):
        if not path.name.startswith(begin) or (path.name.startswith(".") and not begin):
            continue
        if os.path.isdir(path):
            end = "" if runs and is_run(path) else "/"
            words.append(f"{typed}{slash}{path.name}{end}")
        elif not runs or path.suffix == ".pt":
            words.append(f"{typed}{slash}{path.name}")
    if runs and is_run(folder) and "checkpoints".startswith(begin):
        words += path_words(f"{typed}{slash}checkpoints/", runs=True)
        words.remove(f"{typed}{slash}checkpoints/")
    return words


def _entries(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            for _, entry in zip(range(_MOST), entries, strict=False):
                yield folder / entry.name
    except OSError:
        return


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
