"""The record of a sweep: one file per job, and at the end a table made from these files.

A job may run in another process or on another machine, and may be killed. Therefore each job writes
a file to the sweep's folder when it starts, and rewrites the file when it ends. The process that
launched the sweep reads these files at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from nmt import loading_phase
from nmt.data.content_hash import content_hash
from nmt.durable_file import remedy
from nmt.errors import UserError
from nmt.process_exit import ExitStatus, print_error
from nmt.reporting import start_line
from nmt.run.folder import write_json
from nmt.sweeps.job_status import JobStatus
from nmt.sweeps.pruning import Pruning, TrialJudge, storage_url
from nmt.sweeps.results_table import SweepRow, best_line, has_score, markdown, plain, ranked
from nmt.sweeps.sweep_curves import save_sweep_curves
from nmt.sweeps.sweep_overrides import fixed_folder, is_sweep

_HYDRAS_FILES = ("multirun.yaml", ".lock")
_STUDY = "study"  # replaces the identifier of a call, because a study continues over calls
_STUDY_NAME = "nmt"  # of a study without hydra.sweeper.study_name, whose files need no name


@dataclass(frozen=True)
class _Launched:
    """The sweep that this process launched.

    Attributes:
        folder: The folder of the sweep.
        study: The identifier of the study that Optuna runs; None: no study.
        missing: The folder and its parents that did not exist, the innermost first.
        skipped: The impossible jobs that were not started, by their place in the grid.
    """

    folder: Path
    study: str | None
    missing: tuple[Path, ...]
    skipped: dict[int, SweepRow] = field(default_factory=dict)


_launched: list[_Launched] = []  # at most one


class SweepStart(Callback):
    """A callback of Hydra in the process that launches a sweep."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Store the facts for the report at the end; exit if all jobs have the same run folder."""
        start_line.end()
        loading_phase.end()
        if shared := _fixed_folder(config):
            print_error(fixed_folder(shared))  # Hydra would turn an exception into a warning
            sys.exit(ExitStatus.USER_ERROR)
        folder = Path(config.hydra.sweep.dir)
        absolute = folder.absolute()
        missing = tuple(path for path in (absolute, *absolute.parents) if not os.path.exists(path))
        _launched[:] = [_Launched(folder, _study(config.hydra), missing)]


def record_skipped_job(place: int, overrides: Sequence[str], reason: str) -> None:
    """Store the row of an impossible job for the table; ``place`` is its index in the grid."""
    if _launched:
        given = dict(map(_key_and_value, overrides))
        _launched[0].skipped[place] = SweepRow(given, JobStatus.SKIPPED, reason=reason)


def _fixed_folder(config: DictConfig) -> str | None:
    """Return the run folder that a file sets for all jobs; None: jobs may have their own."""
    folder = OmegaConf.to_container(config.run, resolve=False)["dir"]  # type: ignore[index,call-overload]
    given = (*sys.argv, *(f"{key}=" for key in config.hydra.sweeper.get("params") or ()))
    own = any(argument.lstrip("+").startswith("run.dir=") for argument in given)
    return None if own or folder is None or "${" in folder else str(folder)


def _is_study(hydra: DictConfig | HydraConf) -> bool:
    return bool(hydra.runtime.choices.get("hydra/sweeper") == "optuna")


def _study(hydra: DictConfig | HydraConf) -> str | None:
    """Return the identifier of a study in its folder, which may have others; None: no study."""
    return _identifier(str(hydra.sweeper.study_name)) if _is_study(hydra) else None


def _identifier(study_name: str) -> str:
    return _STUDY if study_name == _STUDY_NAME else f"{_STUDY}-{content_hash([study_name])[:6]}"


def _job_name(number: int, study: str | None) -> str:
    """Return the name of the file of a job; in a study with its own name, also of that study."""
    return f"{number}{(study or _STUDY).removeprefix(_STUDY)}.json"


def adopt_earlier_rows(
    folder: Path, study_name: str, trials: Mapping[int, Mapping[str, Any]]
) -> None:
    """Give the rows of an earlier version to the study that they belong to.

    Earlier versions did not write the name of a study into its rows. A row belongs to the study
    whose trial of the same number has the same values.

    Args:
        folder: The folder of the sweep.
        study_name: The name of the study.
        trials: The values of the trials of the study, by number.
    """
    study = _identifier(study_name)
    for number, values in trials.items() if study != _STUDY else ():
        earlier, own = (folder / "jobs" / _job_name(number, one) for one in (_STUDY, study))
        if not values or not earlier.exists() or own.exists():
            continue
        job = json.loads(earlier.read_text(encoding="utf-8"))
        given = dict(_key_and_value(f"{key}={value}") for key, value in values.items())
        if job.get("call") == _STUDY and given.items() <= job["overrides"].items():
            write_json(own, {**job, "call": study})
            earlier.unlink()


class SweepRecord:
    """The results of the jobs of one call, in ``jobs/NUMBER.json`` of the sweep's folder.

    The record is pickled with the job function into the processes of the jobs. Its methods do
    nothing outside a sweep.
    """

    def __init__(self) -> None:
        """Start without jobs; relative paths refer to the current folder."""
        _launched.clear()
        self._call = uuid.uuid4().hex
        self._home = Path.cwd()
        self._refused = False

    def start_job(self) -> None:
        """Record that the current job runs. If it is killed, the file keeps this status."""
        self.note(JobStatus.RUNNING)

    def note(
        self,
        status: JobStatus,
        folder: Path | None = None,
        summary: Mapping[str, Any] | None = None,
        *,
        score: float | None = None,
        metric: str | None = None,
        reason: str | None = None,
        refused: bool = False,
    ) -> None:
        """Record the status of the current job.

        Args:
            status: Any status but ``KILLED``, which is inferred from ``RUNNING`` at the end.
            folder: The run folder.
            summary: The summary of a finished run.
            score: The score that a search maximizes.
            metric: The name of the score.
            reason: Why the job failed, was skipped or was pruned.
            refused: Whether the job failed before it began, because of its settings.

        Raises:
            UserError: The file cannot be written.
        """
        if not is_sweep():
            return
        job = HydraConfig.get()
        content = {
            "call": _study(job) or self._call,
            "number": job.job.num,
            "status": status,
            "overrides": dict(map(_key_and_value, job.overrides.task)),
            "folder": None if folder is None else str(folder),
            "score": score,
            "metric": metric,
            "reason": reason,
            "refused": refused,
            "summary": summary,
        }
        file = self._job_file()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, content)
        except OSError as error:
            raise UserError(
                f"cannot write {file}: {error.strerror}; {remedy(error)}, or choose another "
                "hydra.sweep.dir"
            ) from error

    def forget_job(self) -> None:
        """Delete the file of the current job after a dry run."""
        if is_sweep():
            self._job_file().unlink(missing_ok=True)

    def _job_file(self) -> Path:
        job = HydraConfig.get()
        return self._home / job.sweep.dir / "jobs" / _job_name(job.job.num, _study(job))

    def judge(self, metric: str) -> TrialJudge | None:
        """Return the judge of the current job; None: the job is not a trial of a study.

        Args:
            metric: ``training.best_metric``, which the study maximizes.
        """
        if not is_sweep() or not _is_study(job := HydraConfig.get()):
            return None
        sweeper, folder = job.sweeper, self._home / job.sweep.dir
        url, number = storage_url(folder, sweeper.storage), int(job.job.num)
        pruning = Pruning.of(sweeper.get("pruning"))
        return TrialJudge(url, sweeper.study_name, number, pruning, metric, _warn)

    def rows(self) -> list[SweepRow]:
        """Return the results of the jobs in order; for a study, also those of earlier calls."""
        if not _launched:
            return []
        files = (self._home / _launched[0].folder / "jobs").glob("*.json")
        found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        for job in found:
            job.pop("refused", None)
        call = _launched[0].study or self._call
        jobs = [job for job in found if job.pop("call") == call]
        return [_row(**job) for job in sorted(jobs, key=lambda job: job["number"])]

    def remove_if_empty(self) -> None:
        """Remove the folders that this sweep created if none of its jobs began."""
        missing = _launched[0].missing if _launched else ()
        if not missing or (missing[0] / "study.db").exists() or self.rows():
            return
        for file in _HYDRAS_FILES:
            (missing[0] / file).unlink(missing_ok=True)
        try:
            for folder in (missing[0] / "jobs", *missing):
                if folder.exists():
                    folder.rmdir()
        except OSError:
            return  # the folder contains other files

    def _all_refused(self) -> bool:
        files = (self._home / _launched[0].folder / "jobs").glob("*.json")
        return all(json.loads(file.read_text(encoding="utf-8")).get("refused") for file in files)

    def failed(self) -> bool:
        """Return whether a job of a plain sweep failed; a study tolerates failed trials."""
        if self._refused:
            return True
        statuses = {row.status for row in self.rows()}
        return bool(statuses & {JobStatus.FAILED, JobStatus.KILLED}) and _launched[0].study is None

    def report(self) -> None:
        """Print the table and write it to the sweep's folder; a study's best trial comes first.

        Raises:
            UserError: The folder cannot be written.
        """
        rows = self.rows()
        if not rows:
            return
        folder, study = _launched[0].folder, _launched[0].study is not None
        rows = ranked(rows) if study else _with_skipped(rows, _launched[0].skipped)
        table = markdown(rows, study=study)
        if self._all_refused() and folder.absolute() in _launched[0].missing:
            self._refused = True
            shutil.rmtree(folder / "jobs")
            print(f"\n{table}", flush=True)
            return
        print(f"\n{table}\nsweep folder {folder}", flush=True)
        if study and has_score(rows[0]):
            print(best_line(rows[0]), flush=True)
        try:
            (folder / "table.md").write_text(table, encoding="utf-8")
            write_json(folder / "table.json", plain(rows, study=study))
            picture = folder / "curves.png"
            if save_sweep_curves(rows, self._home, picture):
                print(f"validation BLEU of the finished runs: {picture}", flush=True)
            self._write_page(rows, folder / "comparison.html")
        except OSError as error:
            raise UserError(
                f"cannot write the table or the curves of the sweep to {folder}: "
                f"{error.strerror or error}; {remedy(error)}, or choose another hydra.sweep.dir"
            ) from error

    def _write_page(self, rows: Sequence[SweepRow], page: Path) -> None:
        """Write the page of the sweep's runs if several are finished."""
        from nmt.run.reports.write_report import write_comparison
        from nmt.run.run_record import read_record  # loads numpy and sacreBLEU

        finished = [self._home / row.folder for row in rows if row.summary and row.folder]
        finished = [p for p in dict.fromkeys(finished) if (p / "config.json").is_file()]
        try:
            if len(finished) > 1:
                write_comparison([read_record(path) for path in finished], page)
                print(f"all of them side by side: {page}", flush=True)
        except UserError as error:  # the table is written; nmt report can write the page later
            print(f"no page of the runs side by side: {error}", flush=True)


def _warn(message: str) -> None:
    print_error(UserError(message))


def _key_and_value(override: str) -> tuple[str, str]:
    """Return the key and the value of an override; a simple value loses its quotes."""
    key, _, value = override.partition("=")
    quoted = re.fullmatch(r"'([^'\\,]*)'", value)
    return key, quoted[1] if quoted else value


def _with_skipped(rows: Sequence[SweepRow], skipped: Mapping[int, SweepRow]) -> list[SweepRow]:
    """Return all rows in the order of the grid."""
    merged = list(rows)
    for place in sorted(skipped):
        merged.insert(place, skipped[place])
    return merged


def _row(status: str, **job: Any) -> SweepRow:
    ended = JobStatus.KILLED if status == JobStatus.RUNNING else JobStatus(status)
    return SweepRow(status=ended, **job)
