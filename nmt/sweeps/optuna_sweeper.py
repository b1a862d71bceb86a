"""``hydra/sweeper=optuna``: a search that learns from the scores of its trials.

Hydra's own plugin wants Optuna 2, whose storage fails with current SQLAlchemy; it draws
``n_trials`` more whenever the command is typed again, and never ends a trial that a kill has left
running. This one is written over the current Optuna, and for studies that are killed and go on.
"""

from __future__ import annotations

import math
import random
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from nmt.cli.error_messages import print_error
from nmt.errors import UserError
from nmt.sweeps.search_space import Space, split_overrides

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_SEARCH = "search"
_DRY_RUNS = [f"training.dry_run={true}" for true in ("true", "yes", "y", "on", "1")]


def register_sweeper() -> None:
    """Make the sweeper known to Hydra, by the name that its configuration has.

    Hydra takes plugins from the package ``hydra_plugins`` alone. A part of that would be loaded by
    every application of Hydra in the same environment; a name in it is enough.
    """
    Plugins.instance().class_name_to_class["hydra_plugins.nmt.OptunaSweeper"] = OptunaSweeper


class OptunaSweeper(Sweeper):
    """Runs trials until the study has as many as were asked for, whoever was killed meanwhile.

    The number of a trial is that of its job. A trial that a kill left under way runs again with its
    number and its values, so that its run is found and goes on. What a trial draws depends on the
    seed, its number and the scores before it: of one trial at a time, not on where the study was
    killed.
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
    ) -> None:
        """Take the settings of ``configs/hydra/sweeper/optuna.yaml``.

        Raises:
            UserError: A number is out of its range.
        """
        self.n_trials = n_trials
        self.n_jobs = n_jobs
        self.n_startup_trials = n_startup_trials
        self.seed = seed
        self.max_failure_rate = max_failure_rate
        self.storage = storage
        self.study_name = study_name
        self.params = dict(params or {})
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Prepare the launcher of the trials.

        Raises:
            UserError: Optuna is not installed, or a setting is out of its range.
        """
        self._check()
        try:
            import optuna
            from optuna.distributions import FloatDistribution  # noqa: F401  (Optuna 2 lacks it)
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
                raise UserError(f"hydra.sweeper.{name} is {value}; it is a number from {least} on")
        rate: Any = self.max_failure_rate
        if not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise UserError(f"hydra.sweeper.max_failure_rate is {rate}; it is between 0 and 1")

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials that are missing.

        Raises:
            UserError: The study cannot be gone on with, or nearly all trials fail.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        params = (f"{k}={'null' if v is None else v}" for k, v in self.params.items())
        given = [*params, *arguments]
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        space, fixed = split_overrides(parser.parse_overrides(given))
        if self.config.training.dry_run or any(value.lower() in _DRY_RUNS for value in fixed):
            raise UserError("training.dry_run=true gives no score to search by; leave it out")
        some = [f"{key}={_some_value(distribution)}" for key, distribution in space.items()]
        self.validate_batch_is_legal([[*fixed, *some]])  # before a study is begun
        folder = Path(self.config.hydra.sweep.dir)
        with _held(folder):
            study = self._study(folder, space, fixed)
            self._run(study, space, fixed)

    def _study(self, folder: Path, space: Space, fixed: Sequence[str]) -> Study:
        """Open the study, or begin it."""
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        storage = self.storage or f"sqlite:///{folder.resolve() / 'study.db'}"
        try:
            study = optuna.create_study(
                storage=storage,
                study_name=self.study_name,
                direction="maximize",
                load_if_exists=True,
            )
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError, ImportError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise UserError(
                f"cannot open the study in {storage}: {reason}; mend it, or choose another "
                f"{'hydra.sweep.dir' if self.storage is None else 'hydra.sweeper.storage'}"
            ) from error
        search = [*fixed, *(f"{key} in {distribution}" for key, distribution in space.items())]
        before = study.user_attrs.get(_SEARCH, search if not study.trials else [])
        if other := sorted({*before} ^ {*search}):
            raise UserError(
                f"{storage} holds the study of another search, unlike in {', '.join(other)}; "
                "choose another hydra.sweep.dir or hydra.sweeper.study_name"
            )
        study.set_user_attr(_SEARCH, search)
        return study

    def _run(self, study: Study, space: Space, fixed: Sequence[str]) -> None:
        failed = 0
        while batch := self._next(study, space):
            jobs = [[*fixed, *(f"{k}={v}" for k, v in batch[number].items())] for number in batch]
            self.validate_batch_is_legal(jobs)
            results = self._launch(dict(zip(batch, jobs, strict=True)))
            for number, result in results.items():
                failed += not _tell(study, number, _value(result))
            if failed > self.max_failure_rate * self.n_trials:
                raise UserError(
                    f"{failed} trials of this call have failed, more of {self.n_trials} than "
                    f"hydra.sweeper.max_failure_rate={self.max_failure_rate} bears; mend what is "
                    "told above, and the same command goes on with the others"
                )
        if not any(trial.state.name == "COMPLETE" for trial in study.trials):
            raise UserError(
                f"none of {self.n_trials} trials has finished; mend what is told above, and raise "
                "hydra.sweeper.n_trials"
            )

    def _next(self, study: Study, space: Space) -> dict[int, dict[str, Any]]:
        """Return the values of the trials to run now, by number: those cut off before new ones."""
        trials = study.get_trials(deepcopy=False)
        whole = [trial for trial in trials if trial.params.keys() >= space.keys()]
        batch = {trial.number: trial.params for trial in whole if _is_cut_off(trial)}
        for trial in trials:
            if _is_cut_off(trial) and trial.number not in batch:
                _tell(study, trial.number, None)  # killed as its values were drawn: none has run
        missing = self.n_trials - len(whole)
        while missing > 0 and len(batch) < self.n_jobs:
            number, params = self._ask(study, space)
            batch[number] = params
            missing -= 1
        return dict(sorted(batch.items())[: self.n_jobs])

    def _ask(self, study: Study, space: Space) -> tuple[int, dict[str, Any]]:
        from optuna.samplers import TPESampler

        number = len(study.get_trials(deepcopy=False))
        seed = random.Random(f"{self.seed} {number}").getrandbits(32)
        study.sampler = TPESampler(n_startup_trials=self.n_startup_trials, seed=seed)
        trial = study.ask(space)
        return trial.number, trial.params

    def _launch(self, jobs: Mapping[int, Sequence[str]]) -> dict[int, JobReturn]:
        """Run jobs, each under its own number; those that have no gap between them at a time."""
        assert self.launcher is not None
        results: dict[int, JobReturn] = {}
        for numbers in _without_gaps(list(jobs)):
            given = [jobs[number] for number in numbers]
            returned = self.launcher.launch(given, initial_job_idx=numbers[0])
            results |= dict(zip(numbers, returned, strict=True))
        return results


def _is_cut_off(trial: FrozenTrial) -> bool:
    return trial.state.name == "RUNNING"


def _tell(study: Study, number: int, value: float | None) -> bool:
    """Tell the study how a trial ended, and return whether it has a value."""
    from optuna.trial import TrialState

    if value is None or math.isnan(value):
        study.tell(number, state=TrialState.FAIL)
        return False
    study.tell(number, value)
    return True


def _some_value(distribution: BaseDistribution) -> Any:
    """Return a value that may be drawn."""
    choices = getattr(distribution, "choices", None)
    return getattr(distribution, "low", None) if choices is None else choices[0]


def _value(result: JobReturn) -> float | None:
    try:
        value: float | None = result.return_value
    except UserError as error:
        print_error(error)
        return None
    except Exception:  # the job's own, raised again by Hydra: of any kind; the other trials go on
        traceback.print_exc()
        return None
    return value


def _without_gaps(numbers: Sequence[int]) -> list[list[int]]:
    """Part ascending numbers where one is missing.

    >>> _without_gaps([3, 4, 7])
    [[3, 4], [7]]
    """
    parts = [[numbers[0]]]
    for before, number in pairwise(numbers):
        if number == before + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return parts


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other processes out of a study for a while.

    Raises:
        UserError: One is already at it, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another process is at the study in {folder}; wait for it, or choose another "
            "hydra.sweep.dir"
        ) from None
    except OSError as error:
        raise UserError(
            f"cannot write {folder}: {error.strerror}; choose another hydra.sweep.dir"
        ) from error
    try:
        yield
    finally:
        lock.release()
