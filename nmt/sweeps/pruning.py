"""Stops trials of a search that are worse than finished trials."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.errors import UserError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

PRUNED = "pruned"
"""The attribute of a trial with the reason why it was stopped."""


@dataclass(frozen=True)
class Pruning:
    """The settings ``hydra.sweeper.pruning``: when a trial is stopped.

    Attributes:
        keep_percent: A trial continues while its best score so far is among the best
            ``keep_percent`` % of the scores that finished trials had at the same update; None: no
            trial is stopped.
        startup_trials: Number of finished trials before a trial may be stopped.
        warmup_updates: Number of updates of a trial before it may be stopped.
    """

    keep_percent: float | None = None
    startup_trials: int = 5
    warmup_updates: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> Pruning:
        """Return the checked settings.

        Raises:
            UserError: A setting does not exist or is out of range.
        """
        given = dict(settings or {})
        if unknown := sorted(given.keys() - cls.__dataclass_fields__.keys()):
            known = ", ".join(cls.__dataclass_fields__)
            raise UserError(f"there is no hydra.sweeper.pruning.{unknown[0]}; it has {known}")
        found = cls(**given)
        share: Any = found.keep_percent
        if share is not None and (not _is_number(share) or not 0 < share < 100):
            raise UserError(
                f"hydra.sweeper.pruning.keep_percent is {share}; it must be above 0 and below 100, "
                "or null"
            )
        for name in ("startup_trials", "warmup_updates"):
            value: Any = getattr(found, name)
            least = 1 if name == "startup_trials" else 0
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UserError(
                    f"hydra.sweeper.pruning.{name} is {value}; it must be an integer of at least "
                    f"{least}"
                )
        return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def storage_url(folder: Path, storage: str | None) -> str:
    """Return the URL of a study: ``storage``, or ``study.db`` in the sweep's folder if None."""
    return storage or f"sqlite:///{folder.resolve() / 'study.db'}"


class TrialJudge:
    """Records the validation scores of a trial in its study, and decides whether to stop the trial.

    Attributes:
        reason: The reason why the trial was stopped; None: it was not stopped.
    """

    def __init__(
        self,
        url: str,
        study_name: str,
        number: int,
        pruning: Pruning,
        metric: str,
        report: Callable[[str], None],
    ) -> None:
        """Judge a trial of a study.

        Args:
            url: The URL of the study.
            study_name: The name of the study at that URL.
            number: The number of the trial.
            pruning: The settings that decide when the trial is stopped.
            metric: The name of the score, for the reason.
            report: Prints one line.
        """
        self.reason: str | None = None
        self._where, self._number, self._pruning = (url, study_name), number, pruning
        self._metric, self._report = metric, report
        self._failed = False

    def __call__(self, update: int, score: float) -> bool:
        """Record a score, larger is better; return whether the trial has to stop.

        If the study cannot be reached, the training continues with one warning.
        """
        if self._failed or self._pruning.keep_percent is None:
            return False
        try:
            trial = self._trial()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a resumed trial may report an update again
                trial.report(score, update)
                stops = trial.should_prune()
            if stops:
                self.reason = (
                    f"validation {self._metric} {abs(score):.2f} at update {update:,}: it was "
                    f"never among the best {self._pruning.keep_percent:g} % of the finished trials"
                )
                trial.set_user_attr(PRUNED, self.reason)
        # Each storage of Optuna raises types of its own: SQLAlchemy's, redis's, grpc's, OSError.
        # No score is lost: the run logs them, too.
        except Exception as error:
            self._failed, self.reason = True, None
            reason = " ".join(str(error).split())[:300]
            self._report(f"warning: the study does not get the scores of this trial: {reason}")
            return False
        return stops

    def _trial(self) -> Trial:
        import optuna
        from optuna.pruners import PercentilePruner

        url, name = self._where
        assert self._pruning.keep_percent is not None
        pruner = PercentilePruner(
            self._pruning.keep_percent,
            n_startup_trials=self._pruning.startup_trials,
            n_warmup_steps=self._pruning.warmup_updates,
        )
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = optuna.storages.get_storage(url)
        study: Study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
        study_id = storage.get_study_id_from_name(name)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, self._number)
        return optuna.trial.Trial(study, trial_id)
