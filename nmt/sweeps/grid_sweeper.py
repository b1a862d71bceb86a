"""The sweeper of grids: Hydra's sweeper, but impossible combinations are skipped.

Hydra ends a sweep before its first job if one combination of the grid cannot be composed, e.g. a
Transformer with an attention kind of RNNs. This sweeper runs the other jobs, and the table of the
sweep gives the reason.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nmt.errors import CombinationError, UserError
from nmt.process_exit import print_error
from nmt.sweeps.composition_errors import explain
from nmt.sweeps.sweep_record import record_skipped_job

_HYDRAS_OWN = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def register_grid_sweeper() -> None:
    """Register the sweeper with Hydra in place of Hydra's own, with the same settings."""
    Plugins.instance().class_name_to_class[_HYDRAS_OWN] = GridSweeper


class GridSweeper(Sweeper):
    """Runs the jobs of a grid by Hydra's sweeper, except jobs whose settings exclude each other.

    All jobs are composed before the first one starts.
    """

    def __init__(self, max_batch_size: int | None, params: Mapping[str, str] | None = None) -> None:
        """Create a sweeper with the settings of Hydra's sweeper."""
        # Imported late: Hydra imports the modules of its plugins again when it starts.
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        self._own = own = BasicSweeper(max_batch_size, params)  # type: ignore[arg-type]
        self._all_jobs, self._compose_all = own.split_arguments, own.validate_batch_is_legal
        own.split_arguments = self._possible_jobs  # type: ignore[method-assign]
        own.validate_batch_is_legal = lambda batch: None  # type: ignore[method-assign]

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Prepare the launcher of the jobs."""
        self._own.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs.

        Raises:
            UserError: A setting or a choice does not exist, or no job is possible.
        """
        return self._own.sweep(arguments)

    def _possible_jobs(
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """Return the overrides of the possible jobs, in batches; record the others as skipped.

        Raises:
            UserError: A setting or a choice does not exist, or no job is possible.
        """
        (jobs,) = self._all_jobs(overrides, None)
        impossible: dict[int, str] = {}
        reasons: dict[str, CombinationError] = {}  # by Hydra's message, which many jobs share
        for place, job in enumerate(jobs):
            if error := self._error(job):
                message = str(error)
                if message not in reasons:
                    reasons[message] = _combination_error(error, job)
                impossible[place] = str(reasons[message])
        if impossible and len(impossible) == len(jobs):
            raise CombinationError(impossible[0])
        for reason in dict.fromkeys(impossible.values()):
            print_error(UserError(f"skipped impossible jobs: {reason}"))
        for place, reason in impossible.items():
            record_skipped_job(place, jobs[place], reason)
        possible = [job for place, job in enumerate(jobs) if place not in impossible]
        return list(self._own.split_overrides_to_chunks(possible, max_batch_size))

    def _error(self, overrides: Sequence[str]) -> Exception | None:
        try:
            self._compose_all([overrides])
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            return error
        return None


def _combination_error(error: Exception, overrides: Sequence[str]) -> CombinationError:
    """Return the reason why a job is impossible.

    Raises:
        UserError: The setting or the choice does not exist.
    """
    current = GlobalHydra.instance().hydra
    try:
        explained = explain(error, overrides)
    finally:
        GlobalHydra.instance().hydra = current  # `explain` has cleared it
    if isinstance(explained, CombinationError):
        return explained
    raise explained from error
