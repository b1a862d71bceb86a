"""An Optuna study that can be resumed after a kill: opens it, draws trials, records scores."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.durable_file import remedy
from nmt.errors import UserError
from nmt.sweeps.pruning import PRUNED, storage_url
from nmt.sweeps.search_space import SearchSpace

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_SEARCH = "search"
"""The study's attribute with the search space, by which a different search is detected."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder of a study against other processes.

    Raises:
        UserError: Another process holds the lock, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # few commands need it

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another process is running the study in {folder}; wait for it, or choose another "
            "hydra.sweep.dir"
        ) from None
    except OSError as error:
        raise UserError(
            f"cannot write {folder}: {error.strerror}; {remedy(error)}, or choose another "
            "hydra.sweep.dir"
        ) from error
    try:
        yield
    finally:
        lock.release()


def open_study(
    folder: Path, storage: str | None, name: str, space: SearchSpace, fixed: Sequence[str]
) -> Study:
    """Open a study, or create it.

    Args:
        folder: The sweep's folder.
        storage: A URL that Optuna opens; None: ``study.db`` in the folder.
        name: The name of the study in the storage.
        space: The search space.
        fixed: The overrides that are the same in every trial.

    Raises:
        UserError: The storage cannot be opened, or contains the study of a different search.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    url = storage_url(folder, storage)
    try:
        study = optuna.create_study(
            storage=url, study_name=name, direction="maximize", load_if_exists=True
        )
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError, ImportError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise UserError(
            f"cannot open the study in {url}: {reason}; fix that, or choose another "
            f"{'hydra.sweep.dir' if storage is None else 'hydra.sweeper.storage'}"
        ) from error
    search = [*fixed, *(f"{key} in {distribution}" for key, distribution in space.items())]
    before = study.user_attrs.get(_SEARCH, search if not study.trials else [])
    if different := sorted({*before} ^ {*search}):
        raise UserError(
            f"{url} contains the study of a different search, which differs in "
            f"{', '.join(different)}; choose another hydra.sweep.dir or hydra.sweeper.study_name"
        )
    study.set_user_attr(_SEARCH, search)
    return study


class TrialQueue:
    """Selects the trials of a study that have to run next."""

    def __init__(self, study: Study, space: SearchSpace, n_startup_trials: int, seed: int) -> None:
        """Draw values from the space: at random in the first ``n_startup_trials``, then by TPE."""
        self.study = study
        self._space = space
        self._n_startup_trials = n_startup_trials
        self._seed = seed

    def next_trials(self, n_trials: int, n_jobs: int) -> dict[int, dict[str, Any]]:
        """Return the values of the next trials by number: interrupted trials before new ones.

        Args:
            n_trials: The number of trials of the complete study.
            n_jobs: The greatest number of trials to return.
        """
        trials = self.study.get_trials(deepcopy=False)
        drawn = [trial for trial in trials if trial.params.keys() >= self._space.keys()]
        batch = {trial.number: trial.params for trial in drawn if _was_interrupted(trial)}
        for trial in trials:
            if _was_interrupted(trial) and trial.number not in batch:
                # The process was killed before all values were drawn, so the trial has never run.
                tell_result(self.study, trial.number, None)
        missing = n_trials - len(drawn)
        while missing > 0 and len(batch) < n_jobs:
            number, params = self._draw()
            batch[number] = params
            missing -= 1
        return dict(sorted(batch.items())[:n_jobs])

    def _draw(self) -> tuple[int, dict[str, Any]]:
        from optuna.samplers import TPESampler

        number = len(self.study.get_trials(deepcopy=False))
        # A seed per trial: a resumed study draws the same values as an uninterrupted one.
        seed = random.Random(f"{self._seed} {number}").getrandbits(32)
        self.study.sampler = TPESampler(n_startup_trials=self._n_startup_trials, seed=seed)
        trial = self.study.ask(self._space)
        return trial.number, trial.params


def _was_interrupted(trial: FrozenTrial) -> bool:
    return trial.state.name == "RUNNING"  # no trial runs while the next ones are selected


def tell_result(study: Study, number: int, score: float | None) -> bool:
    """Record the score of a trial, or that it was pruned; return False if it failed."""
    from optuna.trial import TrialState

    if score is None and PRUNED in study.trials[number].user_attrs:
        study.tell(number, state=TrialState.PRUNED)
        return True
    if score is None or math.isnan(score):
        study.tell(number, state=TrialState.FAIL)
        return False
    study.tell(number, score)
    return True
