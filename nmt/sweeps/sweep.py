"""A sweep: its name, what came of each of its jobs, and the table that it ends in.

A job may run in another process, or on another machine, and may be killed without a word. So each
leaves a file in the sweep's folder when it begins, writes there how it ended, and the process that
launched the sweep reads these files at the end.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from nmt.config.store import group_choices
from nmt.data.encoded import content_hash
from nmt.errors import UserError
from nmt.run.folder import write_json
from nmt.sweeps.results_table import SweepRow, best_line, markdown, plain, ranked

_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")
_SPECIAL = re.compile(r"""[,'"\\$()\[\]{}=]|[^ -~]""")
_STUDY = "study"  # stands for the call in the files of trials, which belong to no single one
_UNNAMED = (  # what may change while a sweep remains the same
    "hydra.launcher",
    "hydra/launcher",
    "hydra.sweep.",
    "hydra.sweeper.n_trials",
    "hydra.sweeper.n_jobs",
    "hydra.sweeper.max_failure_rate",
)


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


def sweep_name(overrides: Sequence[str]) -> str:
    """Return a name that the same overrides always have, in any order: ``seed-1a2b3c``."""
    keys = dict.fromkeys(key for override in overrides for key in _swept(override))
    label = "-".join([*keys][:3]) or "sweep"
    what = sorted(override for override in overrides if not override.startswith(_UNNAMED))
    return f"{label}-{content_hash(what)[:6]}"


def _swept(override: str) -> list[str]:
    """Return what a name says of an override: the key swept over, or the sweep chosen."""
    key, _, value = override.partition("=")
    if key == "sweep":
        return [value]
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        return []  # Hydra will say so
    return [re.split(r"[./]", key)[-1]] if parsed.is_sweep_override() else []


def refuse_single_run() -> None:
    """Refuse what is for sweeps alone where only one model would be trained.

    Raises:
        UserError: A sweep, a launcher or a sweeper was chosen without ``-m``.
    """
    if is_sweep():
        return
    choices = HydraConfig.get().runtime.choices
    if (chosen := choices.get("sweep")) is not None:
        raise UserError(f"sweep={chosen} trains several models: add -m")
    for group in ("hydra/launcher", "hydra/sweeper"):
        if (chosen := choices.get(group, "basic")) != "basic":
            raise UserError(f"{group}={chosen} is for the runs of a sweep: add -m")


@dataclass(frozen=True)
class _Launched:
    """The sweep that this process has launched: its folder, and whether it is a study."""

    folder: Path
    study: bool


_launched: list[_Launched] = []  # at most one


class SweepStart(Callback):
    """Told by Hydra, in the process that launches a sweep, where the sweep's folder is."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Keep what the report at the end has to know."""
        _launched[:] = [_Launched(Path(config.hydra.sweep.dir), _is_study(config.hydra))]


def _is_study(hydra: DictConfig | HydraConf) -> bool:
    return bool(hydra.runtime.choices.get("hydra/sweeper") == "optuna")


class SweepRecord:
    """What the jobs of one call leave behind, in ``jobs/NUMBER.json`` of the sweep's folder.

    It travels to the process of a job along with the function that is the job. Where there is no
    sweep it does nothing.
    """

    def __init__(self) -> None:
        """Begin with no job, at the folder that relative paths are meant from."""
        _launched.clear()
        self._call = uuid.uuid4().hex
        self._home = Path.cwd()

    def begin(self) -> None:
        """Note that the job under way runs; if it is killed, this is all that it says."""
        self.note("running")

    def note(
        self,
        status: str,
        folder: Path | None = None,
        summary: Mapping[str, Any] | None = None,
        *,
        score: float | None = None,
        metric: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Keep how the job under way ended: ``finished``, ``failed`` or ``interrupted``.

        Args:
            status: One of these; ``running`` as long as it does.
            folder: The run's.
            summary: The finished run's.
            score: What a search goes by; larger is better.
            metric: The name of that.
            reason: Why it failed.

        Raises:
            UserError: The file cannot be written.
        """
        if not is_sweep():
            return
        job = HydraConfig.get()
        content = {
            "call": _STUDY if _is_study(job) else self._call,
            "number": job.job.num,
            "status": status,
            "overrides": dict(override.split("=", 1) for override in job.overrides.task),
            "folder": None if folder is None else str(folder),
            "score": score,
            "metric": metric,
            "reason": reason,
            "summary": summary,
        }
        file = self._file()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, content)
        except OSError as error:
            raise UserError(
                f"cannot write {file}: {error.strerror}; mend that, or choose another "
                "hydra.sweep.dir"
            ) from error

    def forget(self) -> None:
        """Take back that the job under way began: it was a rehearsal."""
        if is_sweep():
            self._file().unlink(missing_ok=True)

    def _file(self) -> Path:
        job = HydraConfig.get()
        return self._home / job.sweep.dir / "jobs" / f"{job.job.num}.json"

    def rows(self) -> list[SweepRow]:
        """Return how the jobs ended, by number; of a study, those of earlier calls too."""
        if not _launched:
            return []
        files = (self._home / _launched[0].folder / "jobs").glob("*.json")
        found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        call = _STUDY if _launched[0].study else self._call
        mine = [job for job in found if job.pop("call") == call]
        return [_row(**job) for job in sorted(mine, key=lambda job: job["number"])]

    def failed(self) -> bool:
        """Whether a job of a plain sweep failed; in a study a trial may."""
        ends = {row.status for row in self.rows()}
        return bool(ends & {"failed", "killed"}) and not _launched[0].study

    def report(self) -> None:
        """Print the table and write it to the sweep's folder; a study's has the best trial first.

        Raises:
            UserError: The folder cannot be written.
        """
        rows = self.rows()
        if not rows:
            return
        folder, study = _launched[0].folder, _launched[0].study
        rows = ranked(rows) if study else rows
        table = markdown(rows, study=study)
        print(f"\n{table}\nsweep folder {folder}", flush=True)
        if study and rows[0].score is not None:
            print(best_line(rows[0]), flush=True)
        try:
            (folder / "table.md").write_text(table, encoding="utf-8")
            write_json(folder / "table.json", plain(rows, study=study))
        except OSError as error:
            raise UserError(
                f"cannot write the table of the sweep to {folder}: {error.strerror}; "
                "choose another hydra.sweep.dir"
            ) from error


def _row(status: str, **job: Any) -> SweepRow:
    return SweepRow(status="killed" if status == "running" else status, **job)
