"""`nmt train` as a Hydra application: composes each job's configuration and records its result."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.config.checks.check_config import check_config
from nmt.config.folders import config_directory
from nmt.config.plain import flatten, to_mapping
from nmt.config.schema import Config
from nmt.errors import CombinationError, UserError
from nmt.process_exit import (
    ExitStatus,
    exit_together,
    is_printing_process,
    print_error,
)
from nmt.reporting import start_line
from nmt.sweeps.composition_errors import explain, is_defect, setting_paths
from nmt.sweeps.job_status import JobStatus
from nmt.sweeps.overrides import typed_config
from nmt.sweeps.pruning import TrialJudge
from nmt.sweeps.registration import register_with_hydra
from nmt.sweeps.repeated_overrides import warn_of_repeated
from nmt.sweeps.sweep_overrides import is_sweep, refuse_single_run
from nmt.sweeps.sweep_record import SweepRecord
from nmt.sweeps.train_arguments import overrides_first

if TYPE_CHECKING:
    from nmt.pipeline import Outcome

Train = Callable[[Config, str, TrialJudge | None], "Outcome"]
"""A function that trains one configuration, given also as the YAML text for the run folder.

The judge of a trial of a search stops the training if the trial is worse than others.
"""


def run_application(arguments: Sequence[str], train: Train) -> None:
    """Run the Hydra application; exit with a status other than 0 if a job fails.

    The jobs of a sweep run one after another in this process, or in the processes of a launcher. If
    a job fails, its error is printed immediately and the other jobs still run. A sweep always ends
    with a table of its jobs, even if it is interrupted.

    Args:
        arguments: The command line after `nmt train`.
        train: Trains one configuration. A launcher pickles it into the processes of the jobs.

    Raises:
        UserError: The configuration cannot be composed.
    """
    arguments = overrides_first(arguments)
    register_with_hydra()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises exceptions instead of printing them
    sys.argv = ["nmt train", *arguments]
    jobs = _Jobs(arguments, train)

    def job(
        composed: DictConfig,
    ) -> float | None:  # Hydra reads attributes that only functions have
        return jobs.run(composed)

    application = hydra.main(
        version_base="1.3", config_path=str(config_directory()), config_name="train"
    )(job)
    try:
        with _mode_by_flag(arguments):
            application()
    except UserError:
        raise
    except Exception as error:  # Hydra also raises OSError, TypeError, ...
        ours = isinstance(error, HydraException | OmegaConfBaseException)
        if not ours and (is_defect(error) or jobs.started or jobs.record.rows()):
            raise  # a defect, or an error of a job and not of the composition
        raise explain(error, arguments) from error
    finally:
        jobs.record.report()
        jobs.record.remove_if_empty()
    if jobs.failed or jobs.record.failed():
        sys.exit(ExitStatus.USER_ERROR)


@contextmanager
def _mode_by_flag(arguments: Sequence[str]) -> Iterator[None]:
    """Let -m alone select a sweep, unless the command line can set ``hydra.mode``.

    This saves time: Hydra composes the whole configuration once more to read that setting.
    """
    if any(
        argument.lstrip("+").startswith(("hydra.mode", "--config", "-c")) for argument in arguments
    ):
        yield
        return
    read_mode = Hydra.get_mode
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = read_mode  # type: ignore[method-assign]


class _Jobs:
    """Runs the jobs of one call, each with the configuration that Hydra composed for it.

    Attributes:
        record: The results of a sweep's jobs.
        started: Whether a job has started in this process.
        failed: Whether a single run, outside a sweep, failed.
    """

    def __init__(self, arguments: Sequence[str], train: Train) -> None:
        self._arguments = arguments
        self._train = train
        self.record = SweepRecord()
        self.started = False
        self.failed = False
        self._began = self._warned = False
        self._judge: TrialJudge | None = None

    def run(self, composed: DictConfig) -> float | None:
        """Train, record the result and return the score that a search maximizes."""
        self.started, self._began = True, False
        self._judge = self.record.judge(composed.training.best_metric)
        start_line.end()
        self.record.start_job()
        try:
            with exit_together():  # inside the job, before Hydra handles its failure
                outcome = _train_composed(composed, self._arguments, self._begin)
        except UserError as error:
            print_error(error)
            self.failed = not is_sweep()
            impossible = isinstance(error, CombinationError) and not self._began
            status = JobStatus.SKIPPED if impossible else JobStatus.FAILED
            self.record.note(status, reason=_one_line(error), refused=not self._began)
            return None
        except KeyboardInterrupt:
            self.record.note(JobStatus.INTERRUPTED)
            raise
        except BaseException as error:
            self.record.note(JobStatus.FAILED, reason=_one_line(error))
            raise
        if self._judge is not None and self._judge.reason is not None:
            self.record.note(JobStatus.PRUNED, outcome.folder.path, reason=self._judge.reason)
            return None
        return _record_outcome(self.record, outcome, composed.training.best_metric)

    def _begin(self, config: Config, config_yaml: str) -> "Outcome":
        """Train a configuration that has been checked."""
        self._began = True
        if not self._warned:
            self._warned = True
            warn_of_repeated(self._arguments)
        return self._train(config, config_yaml, self._judge)


def _train_composed(
    composed: DictConfig, arguments: Sequence[str], train: Callable[[Config, str], "Outcome"]
) -> "Outcome":
    """Check a composed configuration and train it.

    Raises:
        UserError: The configuration, the corpus or the run folder is invalid.
    """
    try:
        refuse_single_run()
        config = typed_config(composed)
        if added := sorted(set(setting_paths(composed)) - set(flatten(to_mapping(config)))):
            raise UserError(f"there is no setting {', '.join(added)}; + cannot add one")
        check_config(config)
        return train(config, OmegaConf.to_yaml(composed, resolve=True))
    except OmegaConfBaseException as error:
        raise explain(error, arguments) from error


def _record_outcome(record: SweepRecord, outcome: "Outcome", metric: str) -> float | None:
    """Record the result of a job; return the score that a search maximizes (None: dry run)."""
    if outcome.rehearsal:
        record.forget_job()
        if is_printing_process():
            print("\n".join(outcome.rehearsal))
        return None
    if outcome.summary is None:
        record.note(JobStatus.INTERRUPTED, outcome.folder.path)
        sys.exit(ExitStatus.RESUMABLE)
    score = _validation_score(outcome.summary, metric)
    record.note(
        JobStatus.FINISHED, outcome.folder.path, outcome.summary, score=score, metric=metric
    )
    return score


def _validation_score(summary: Mapping[str, Any], metric: str) -> float:
    """Return the score of a finished run on the validation set; larger is better."""
    # Imported late, because it loads torch.
    from nmt.training.checkpoints.kept_checkpoints import score

    return score(summary["valid"], metric)


def _one_line(error: BaseException) -> str:
    message = " ".join(str(error).split())
    return message if isinstance(error, UserError) else f"{type(error).__name__}: {message}"
