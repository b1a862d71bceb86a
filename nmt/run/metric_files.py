"""The metric logs of a run: metrics.jsonl, samples, heatmaps, TensorBoard and trackers."""

from collections.abc import Callable
from typing import Any

from nmt import processes
from nmt.config.plain import flatten, to_naming_mapping
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.reporting.metric_log import JsonLinesLog, MetricLog, MetricLogs
from nmt.reporting.picture_log import PictureLog
from nmt.reporting.sample_log import SampleLog
from nmt.reporting.trackers.safe_log import open_trackers
from nmt.reporting.trackers.tracked_run import TrackedRun
from nmt.run.folder import RunFolder
from nmt.training.services import Save


def open_metric_log(
    folder: RunFolder, config: Config, resume_step: int | None, report: Callable[[str], None]
) -> MetricLog:
    """Open the metric logs of a run; only the first process writes.

    Args:
        folder: The run folder.
        config: The settings of the run; ``logging`` turns TensorBoard and trackers on.
        resume_step: The update after which the run resumes; later entries are dropped. None: the
            run is new.
        report: Prints one line.

    Raises:
        UserError: metrics.jsonl is damaged.
    """
    if not processes.is_first():
        return MetricLogs([])
    try:
        numbers = JsonLinesLog(folder.metrics, 0 if resume_step is None else resume_step)
    except ValueError as error:
        raise UserError(str(error)) from error
    samples = SampleLog(folder.samples, 0 if resume_step is None else resume_step)
    logs: list[MetricLog] = [numbers, samples, PictureLog(folder.attention, report)]
    if config.logging.tensorboard:
        from nmt.reporting.tensorboard import TensorBoardLog

        settings = flatten(to_naming_mapping(config))
        logs.append(TensorBoardLog(folder.tensorboard, resume_step, settings))
    if config.logging.trackers:
        name, settings = folder.path.resolve().name, flatten(to_naming_mapping(config))
        tracked = TrackedRun(name, config.logging.project, folder.path, settings)
        resumed = resume_step is not None
        logs += open_trackers(config.logging.trackers, tracked, resumed=resumed, report=report)
    return MetricLogs(logs)


def after_curves(save: Save, log: MetricLog) -> Save:
    """Return a function that flushes the metric log to the disk and then saves a checkpoint.

    A run resumed from the checkpoint then has all earlier metrics, even after a loss of power.

    Args:
        save: Saves a checkpoint.
        log: The metric log of the run.
    """

    def flush_and_save(name: str, *content: Any, **more: Any) -> None:
        log.flush()
        save(name, *content, **more)

    return flush_and_save
