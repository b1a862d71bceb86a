"""``hydra/sweeper=optuna``: a search that uses the scores of earlier trials.

Hydra's own plugin requires Optuna 2, whose storage fails with current SQLAlchemy. It also runs
``n_trials`` further trials each time the command is repeated, and never ends a trial that was
running when its process was killed. This sweeper uses current Optuna, and the same command resumes
a study after a kill.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from nmt.errors import UserError
from nmt.process_exit import print_error
from nmt.sweeps.optuna_study import TrialQueue, locked, open_study, tell_result
from nmt.sweeps.pruning import Pruning
from nmt.sweeps.search_space import split_overrides
from nmt.sweeps.sweep_record import adopt_earlier_rows

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_DRY_RUNS = [f"training.dry_run={true}" for true in ("true", "yes", "y", "on", "1")]


def register_sweeper() -> None:
    """Register the sweeper with Hydra under the name in its configuration.

    Hydra loads plugins only from the package ``hydra_plugins``. A module of `nmt` in that package
    would be imported by every Hydra application in the environment, so only the name is registered.
    """
    Plugins.instance().class_name_to_class["hydra_plugins.nmt.OptunaSweeper"] = OptunaSweeper


class OptunaSweeper(Sweeper):
    """Runs trials until the study has ``n_trials``, including those of earlier calls.

    The number of a trial is the number of its job. A trial whose process was killed runs again with
    the same number and values, so its run folder is found and its run resumes. The values of a
    trial depend only on the seed, its number and the scores of earlier trials. With one trial at a
    time, an interrupted study therefore draws the same values as an uninterrupted one.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        n_startup_trials: int,
        seed: int,
        max_failure_rate: float,
        storage: str | None,
        study_name: str,
        params: Mapping[str, Any] | None,
        pruning: Mapping[str, Any] | None = None,
    ) -> None:
        """Create a sweeper with the settings of ``configs/hydra/sweeper/optuna.yaml``."""
        self.n_trials = n_trials
        self.n_jobs = n_jobs
        self.n_startup_trials = n_startup_trials
        self.seed = seed
        self.max_failure_rate = max_failure_rate
        self.storage = storage
        self.study_name = study_name
        self.params = dict(params or {})
        self.pruning = pruning
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Prepare the launcher of the trials.

        Raises:
            UserError: Optuna is not installed, or a setting is out of range.
        """
        self._check()
        try:
            import optuna
            from optuna.distributions import FloatDistribution  # noqa: F401  (absent in Optuna 2)
        except ImportError as error:
            raise UserError(
                "hydra/sweeper=optuna needs a current Optuna: pip install 'nmt[optuna]'"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def _check(self) -> None:
        for name, least in (("n_trials", 1), ("n_jobs", 1), ("n_startup_trials", 0), ("seed", 0)):
            value: Any = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise UserError(
                    f"hydra.sweeper.{name} is {value}; it must be an integer of at least {least}"
                )
        Pruning.of(self.pruning)
        rate: Any = self.max_failure_rate
        if not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise UserError(f"hydra.sweeper.max_failure_rate is {rate}; it must be between 0 and 1")

    def sweep(self, arguments: list[str]) -> None:
        """Run the remaining trials of the study.

        Raises:
            UserError: The study cannot be opened or belongs to another search, too many trials
                failed, or none finished.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        params = (f"{k}={'null' if v is None else v}" for k, v in self.params.items())
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        space, fixed = split_overrides(parser.parse_overrides([*params, *arguments]))
        if self.config.training.dry_run or any(value.lower() in _DRY_RUNS for value in fixed):
            raise UserError("training.dry_run=true gives no score to maximize; remove it")
        example = [f"{key}={_example_value(distribution)}" for key, distribution in space.items()]
        self.validate_batch_is_legal([[*fixed, *example]])  # fail before a study is created
        folder = Path(self.config.hydra.sweep.dir)
        with locked(folder):
            study = open_study(folder, self.storage, self.study_name, space, fixed)
            trials = {trial.number: trial.params for trial in study.get_trials(deepcopy=False)}
            adopt_earlier_rows(folder, self.study_name, trials)
            self._run(TrialQueue(study, space, self.n_startup_trials, self.seed), fixed)

    def _run(self, queue: TrialQueue, fixed: Sequence[str]) -> None:
        failed = 0
        while batch := queue.next_trials(self.n_trials, self.n_jobs):
            jobs = {
                number: [*fixed, *(f"{key}={value}" for key, value in values.items())]
                for number, values in batch.items()
            }
            self.validate_batch_is_legal(list(jobs.values()))
            for number, result in self._launch(jobs).items():
                failed += not tell_result(queue.study, number, _score(result))
            if failed > self.max_failure_rate * self.n_trials:
                raise UserError(
                    f"{failed} of {self.n_trials} trials failed, above "
                    f"hydra.sweeper.max_failure_rate={self.max_failure_rate}; fix the errors above "
                    "and run the same command to continue"
                )
        if not any(trial.state.name == "COMPLETE" for trial in queue.study.trials):
            raise UserError(
                f"none of {self.n_trials} trials finished; fix the errors above and raise "
                "hydra.sweeper.n_trials to continue"
            )

    def _launch(self, jobs: Mapping[int, Sequence[str]]) -> dict[int, JobReturn]:
        """Run jobs under their own numbers; one launch takes only consecutive numbers."""
        assert self.launcher is not None
        results: dict[int, JobReturn] = {}
        for numbers in _consecutive_runs(list(jobs)):
            overrides = [jobs[number] for number in numbers]
            returned = self.launcher.launch(overrides, initial_job_idx=numbers[0])
            results |= dict(zip(numbers, returned, strict=True))
        return results


def _example_value(distribution: BaseDistribution) -> Any:
    """Return a value that the distribution contains."""
    choices = getattr(distribution, "choices", None)
    return getattr(distribution, "low", None) if choices is None else choices[0]


def _score(result: JobReturn) -> float | None:
    """Return the score of a job; if the job failed, print its error and return None."""
    try:
        score: float | None = result.return_value
    except UserError as error:
        print_error(error)
        return None
    except Exception:  # Hydra raises the job's own exception again; other trials may still succeed
        traceback.print_exc()
        return None
    return score


def _consecutive_runs(numbers: Sequence[int]) -> list[list[int]]:
    """Split ascending numbers into runs of consecutive ones.

    >>> _consecutive_runs([3, 4, 7])
    [[3, 4], [7]]
    """
    runs = [[numbers[0]]]
    for previous, number in pairwise(numbers):
        if number == previous + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
