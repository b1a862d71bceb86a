"""The metric logs of a run folder: metrics.jsonl, heatmaps and TensorBoard."""

from collections.abc import Callable

from nmt import processes
from nmt.config.plain import flatten, to_naming_mapping
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.reporting.metric_log import JsonLinesLog, MetricLog, MetricLogs
from nmt.reporting.picture_log import PictureLog
from nmt.run.folder import RunFolder


def open_metric_log(
    folder: RunFolder, config: Config, resume_step: int | None, report: Callable[[str], None]
) -> MetricLog:
    """Open the metric logs of a run; only the first process writes.

    Args:
        folder: Of the run.
        config: Of the run; says whether TensorBoard events are written, too.
        resume_step: The update that the run resumes after; later entries are dropped. None: it is
            a new run.
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
    logs: list[MetricLog] = [numbers, PictureLog(folder.attention, report)]
    if config.logging.tensorboard:
        from nmt.reporting.tensorboard import TensorBoardLog

        settings = flatten(to_naming_mapping(config))
        logs.append(TensorBoardLog(folder.tensorboard, resume_step, settings))
    return MetricLogs(logs)
