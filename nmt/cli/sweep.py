"""A sweep: what came of each of its jobs, and the table that it ends in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from nmt.config.store import group_choices
from nmt.errors import UserError
from nmt.reporting.sweep_table import SweepRow, markdown, plain
from nmt.run.folder import write_json

_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
_SPECIAL = re.compile(r"""[,'"\\$()\[\]{}=]|[^ -~]""")


def is_sweep() -> bool:
    """Whether the job under way is one of a sweep (``-m``)."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def left_to_the_jobs(override: str) -> str:
    """Make a simple value on the command line a sweep over this one; leave other overrides.

    Hydra composes a configuration before those of a sweep's jobs, without what is swept over. It
    need not have a setting that each job has, as ``data.root`` where experiments choose the data.
    """
    key, _, value = override.partition("=")
    if key.startswith("hydra.") or key.lstrip("+") in group_choices():
        return override
    if value == "null" or _SPECIAL.search(value):
        return override  # Hydra would not hand it on as it is
    return f"{key}=choice({value if _PLAIN.fullmatch(value) else repr(value)})"


def refuse_single_run() -> None:
    """Refuse ``sweep=NAME`` where only one model would be trained.

    Raises:
        UserError: A sweep was chosen without ``-m``.
    """
    chosen = HydraConfig.get().runtime.choices.get("sweep")
    if chosen is not None and not is_sweep():
        raise UserError(f"sweep={chosen} trains several models: add -m")


class SweepRecord:
    """The jobs of a sweep as they end, in this process; nothing where there is no sweep."""

    def __init__(self) -> None:
        """Begin with no job."""
        self._rows: list[SweepRow] = []
        self._folder = Path()

    def note(
        self, status: str, folder: Path | None = None, summary: Mapping[str, Any] | None = None
    ) -> None:
        """Keep how the job under way ended: ``finished``, ``failed`` or ``interrupted``."""
        if is_sweep():
            job = HydraConfig.get()
            given = dict(override.split("=", 1) for override in job.overrides.task)
            path = None if folder is None else str(folder)
            self._rows.append(SweepRow(given, status, path, summary))
            self._folder = Path(job.sweep.dir)

    def report(self) -> None:
        """Print the table and write it to the sweep's folder.

        Raises:
            UserError: The folder cannot be written.
        """
        if not self._rows:
            return
        table = markdown(self._rows)
        print(f"\n{table}\nsweep folder {self._folder}", flush=True)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / "table.md").write_text(table, encoding="utf-8")
            write_json(self._folder / "table.json", plain(self._rows))
        except OSError as error:
            raise UserError(
                f"cannot write the table of the sweep to {self._folder}: {error.strerror}; "
                "choose another hydra.sweep.dir"
            ) from error
