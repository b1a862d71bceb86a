"""Runs a training from a configuration to a trained and tested model.

`nmt.run.stages` has its stages. The parts of a run can also be tried (`rehearse`) or measured
(`workbench`) without a run folder.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from nmt import processes
from nmt.config.checks.check_config import check_config
from nmt.config.schema import Config
from nmt.data.preparation.prepared_corpus import PreparedCorpus
from nmt.decoding.translator import Translator
from nmt.evaluation.validation import ValidationReport
from nmt.reporting.console import Console, open_console
from nmt.reporting.metric_log import MetricLogs
from nmt.reporting.progress_line import format_duration
from nmt.reporting.run_log import open_run_log
from nmt.run.batch_size import set_batch_tokens
from nmt.run.dry_run import rehearse_run
from nmt.run.folder import RunFolder
from nmt.run.stages import (
    PreparedRun,
    StartedRun,
    build,
    finish,
    new_trainer,
    prepare,
    start,
    validation_of,
)
from nmt.training.services import Hopeless, Interrupted, TrainerServices, UpdateProfiler
from nmt.training.stopping import StopReason, ended_in_warmup
from nmt.training.trainer import Trainer


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

    Attributes:
        folder: The run folder.
        summary: The summary of a finished run; None if it was interrupted, or for a dry run.
        already_finished: Whether an earlier call had finished the run.
        rehearsal: The expected cost of the run in lines of text, for a dry run.
    """

    folder: RunFolder
    summary: Mapping[str, Any] | None
    already_finished: bool
    rehearsal: Sequence[str] = ()


@dataclass(frozen=True)
class Workbench:
    """The parts of a run without a run folder, for measuring them.

    Attributes:
        trainer: The trainer of a new model; it neither validates nor saves.
        corpus: The training text.
        precision: The dtype of matrix products.
        translator: The search of a validation.
        validate: Scores the model as a validation does.
    """

    trainer: Trainer
    corpus: PreparedCorpus
    precision: torch.dtype
    translator: Translator
    validate: Callable[[], ValidationReport]


def train(
    config: Config,
    config_yaml: str,
    interrupted: Interrupted,
    saved: Callable[[], AbstractContextManager[None]] = nullcontext,
    hopeless: Hopeless | None = None,
) -> Outcome:
    """Train a configuration to its end; continue the run if an earlier call has started it.

    Args:
        config: What to run.
        config_yaml: The configuration as YAML, which is stored in the run folder.
        interrupted: Called after each update; returns whether to save and stop.
        saved: Returns a context for the trainer, in which an interrupted run is saved.
        hopeless: Returns whether the run has to stop without a final test, given an update and its
            validation score. The run is then saved like an interrupted one.

    Raises:
        UserError: The configuration, the corpus or the run folder is faulty.
    """
    check_config(config)
    folder = RunFolder.of(config)
    if config.training.dry_run:
        with open_console(silent=not processes.is_first()) as console:
            prepared = prepare(config, folder, console, interrupted)
            return Outcome(folder, None, already_finished=False, rehearsal=rehearse(prepared))
    folder.check(config)
    summary = folder.read_summary()
    if summary is not None:
        folder.forget_best()  # if a call was killed immediately before this
        return Outcome(folder, summary, already_finished=True)
    if processes.is_first():
        folder.check_writable()
    with ExitStack() as stack:
        stack.enter_context(folder.disk_errors_explained())
        console = stack.enter_context(open_console(silent=not processes.is_first()))
        prepared = prepare(config, folder, console, interrupted)
        if processes.is_first():
            folder.create(config, config_yaml)  # not earlier: a faulty corpus makes no folder
            stack.enter_context(folder.locked())
            console.keep(stack.enter_context(open_run_log(folder.log)).logger)
        processes.barrier()
        started = start(prepared, build(prepared), stack, interrupted, hopeless)
        scores = _execute(started, saved)
        return Outcome(folder, scores, already_finished=False)


def _execute(
    started: StartedRun, saved: Callable[[], AbstractContextManager[None]]
) -> Mapping[str, Any] | None:
    """Train and test; return the summary, or None if the run was interrupted or is hopeless."""
    with saved():
        reason = started.trainer.train()
        started.checkpoints.wait()
    processes.barrier()  # no process may exit or read a file before all files are written
    progress, console = started.trainer.progress, started.prepared.console
    if reason is StopReason.PRUNED:
        console(f"stopped after update {progress.update:,}: other trials are clearly better")
        return None
    if reason is StopReason.INTERRUPTED:
        console(f"stopped after update {progress.update:,}; run the same command to resume")
        return None
    console(
        f"trained: {progress.update:,} updates in {format_duration(progress.seconds)} "
        f"({reason}), best at update {progress.best_update:,}"
    )
    if warning := ended_in_warmup(reason, progress.update, started.prepared.config.schedule.warmup):
        console(warning)
    return finish(started, reason)


def rehearse(prepared: PreparedRun) -> list[str]:
    """Try each part of a run once, and return its expected cost in lines of text."""
    trainer = _detached_trainer(prepared, lambda: False, UpdateProfiler())
    decoding = prepared.config.decoding.with_beam(1)
    tokenizers, text = prepared.corpus.tokenizers, prepared.corpus.text
    greedy = Translator(trainer.model, tokenizers, decoding, prepared.precision)
    return rehearse_run(trainer, prepared.corpus.train, greedy, text.valid)


def workbench(
    config: Config, console: Console, interrupted: Interrupted, profiler: UpdateProfiler
) -> Workbench:
    """Build the parts of a run, to measure them; nothing is written.

    Args:
        config: What to run.
        console: Prints messages.
        interrupted: Called after each update; returns whether training pauses until the next call.
        profiler: Hooks around the parts of an update.

    Raises:
        UserError: The configuration or the corpus is faulty.
    """
    prepared = prepare(config, RunFolder.of(config), console, lambda: False)
    trainer = _detached_trainer(prepared, interrupted, profiler)
    translator, validate = validation_of(prepared, trainer.model)
    return Workbench(trainer, prepared.corpus, prepared.precision, translator, validate)


def _detached_trainer(
    prepared: PreparedRun, interrupted: Interrupted, profiler: UpdateProfiler
) -> Trainer:
    """Return a trainer of a new model that neither validates nor saves."""
    services = TrainerServices(
        metric_log=MetricLogs([]),
        progress_line=prepared.console.line,
        report=prepared.console,
        interrupted=interrupted,
        profiler=profiler,
    )
    trainer = new_trainer(prepared, build(prepared), services)
    train, config = prepared.corpus.train, prepared.config
    set_batch_tokens(trainer, train, config, prepared.device, prepared.console)
    return trainer
