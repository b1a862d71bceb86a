"""The training loop: decides when to log, validate, save, rewind and stop.

`nmt.training.update.Updater` makes the updates. `TrainerServices` has the functions that need a
search or files: they validate, save and log.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from nmt import processes, runtime
from nmt.checkpoint_names import BEST, LAST
from nmt.config.model import attention_kind
from nmt.config.schema import Config
from nmt.config.training_settings import BatchShapes, TrainingConfig
from nmt.data.batches.batch import Batch
from nmt.data.batches.batching import BatchingState
from nmt.data.batches.loader import UpdateLoader
from nmt.data.batches.loader_process import Samplers
from nmt.data.encoded import EncodedCorpus
from nmt.model.seq2seq import TranslationModel
from nmt.reporting.progress_line import TrainingStatus
from nmt.training.checkpoints import kept_checkpoints
from nmt.training.guard import BadUpdate, DivergenceGuard, is_finite
from nmt.training.metric_window import MetricWindow
from nmt.training.objective import AuxiliaryTargets
from nmt.training.parallel.training_processes import sum_by_name
from nmt.training.passes.batch_shapes import build_batches, settle_batch_shapes
from nmt.training.services import TrainerServices, ValidationScores
from nmt.training.step_results import StepNumbers, StepResult, read_results
from nmt.training.stopping import StopReason, seconds_left, stop_reason
from nmt.training.training_progress import TrainingProgress
from nmt.training.update import Updater

BEST_SCORES = ("bleu", "chrf", "loss")
"""The scores of the best model so far, which logs record separately from the curves."""

_MAX_UNREAD = 100  # updates; their batches stay in memory until their results are read


class Trainer:
    """Trains a model until its budget is spent.

    Reading a value from a GPU waits for all queued work. So on a GPU, the results of several
    updates are read together: at log points, before validating, saving and stopping, and at least
    every ``read_every`` updates. A divergence is noticed only at these points. All processes read
    the same values at the same updates, so they make the same decisions.

    Attributes:
        model: The model in training.
        config: The run's configuration.
        progress: The run's progress.
        updater: Makes the updates.
        shapes: The shapes of the batches.
    """

    def __init__(
        self,
        model: TranslationModel,
        corpus: EncodedCorpus,
        config: Config,
        services: TrainerServices,
        samplers: Samplers | None = None,
        targets: AuxiliaryTargets = AuxiliaryTargets(),  # noqa: B008  (it is immutable)
        read_every: int | None = None,
    ) -> None:
        """Prepare to train a model on its current device.

        Args:
            model: The model.
            corpus: The training pairs.
            config: The run's configuration.
            services: Validates, saves and logs.
            samplers: Sample the segmentation of both sides in every epoch; None: it is fixed.
            targets: Other models from which the run learns.
            read_every: Updates between two reads of results from the device. 1: the host reads each
                result before the optimizer step, which costs nothing on a CPU. None: 1 on a CPU;
                on other devices ``logging.log_every``, but at most 100.

        Raises:
            UserError: Samplers are combined with the word links of the corpus.
        """
        self.model, self.config, self._services = model, config, services
        self.progress = TrainingProgress()
        self._device = model.output.weight.device
        if read_every is None:
            on_cpu = self._device.type == "cpu"
            read_every = 1 if on_cpu else min(config.logging.log_every, _MAX_UNREAD)
        self.updater = Updater(
            model,
            config,
            self.progress,
            targets,
            report=services.report,
            profiler=services.profiler,
            check_on_device=read_every > 1,
        )
        self._read_every = read_every if self.updater.checks_on_device else 1
        self.progress.precision = str(self.updater.precision.dtype).removeprefix("torch.")
        self._guard = DivergenceGuard(config, services.keep_bad_update, services.reload_checkpoint)
        self.shapes = self._settle_shapes()
        self._make_loader = partial(_loader, corpus, samplers, self.shapes)
        self._loader = self._make_loader(config)
        self._window = MetricWindow()
        self._unread: list[StepResult] = []
        self._hopeless = False

    def _settle_shapes(self) -> BatchShapes:
        dtype, report = self.updater.precision.dtype, self._services.report
        shapes = settle_batch_shapes(self.config, self._device, dtype, report)
        self.progress.batch_shapes = shapes.value
        return shapes

    def train(self) -> StopReason:
        """Train until the budget is spent, and return the reason for stopping.

        Raises:
            UserError: The training has diverged.
        """
        progress = self.progress
        started = time.monotonic() - progress.seconds
        reason = self._stop_reason()
        with self._loader:
            for batches, state in self._loader if reason is None else ():
                progress.epoch, progress.position = state.epoch, state.position
                self._update(batches)
                progress.seconds = time.monotonic() - started
                if progress.update % self.config.logging.log_every == 0:
                    self._log_metrics()
                if progress.update % self.config.training.validate_every == 0:
                    self._validate()
                    progress.seconds = time.monotonic() - started
                reason = self._stop_reason()
                self._save_if_due(reason)
                if reason is not None:
                    break
        if reason is not StopReason.INTERRUPTED and progress.update != progress.validated_update:
            while progress.update != progress.validated_update:  # again after each rewind
                self._validate()
            progress.seconds = time.monotonic() - started
            self._save(LAST)
        return reason or StopReason.MAX_UPDATES

    def _update(self, batches: list[Batch]) -> None:
        self._unread.append(self.updater.step(batches))
        if len(self._unread) >= self._read_every:
            self._read_results()

    def _read_results(self) -> None:
        """Read the results of recent updates from the device, in one transfer, and count them."""
        results, self._unread = self._unread, []
        for result, numbers in zip(results, read_results(results), strict=True):
            fault = self._count(result, numbers)
            if fault is not None:
                self._rewind(fault)
                return  # later results belong to weights that no longer exist

    def _count(self, result: StepResult, numbers: StepNumbers) -> str | None:
        """Count one update as applied or skipped; return the fault if the run has diverged."""
        loss, norm = numbers.loss, numbers.gradient_norm
        if result.tokens and is_finite(loss, norm):
            self._guard.accept(self.progress)
            self.progress.tokens += result.tokens
            self._window.add(loss, result.tokens, norm, result.learning_rate, result.extra_losses)
            status = _status(self._window, self.progress, self.config.training)
            self._services.progress_line.update(status)
            return None
        if is_finite(loss, norm) or numbers.scale_overflow:
            return None  # every pair was dropped (out of memory), or the float16 loss overflowed
        update, epoch, learning_rate = result.update, result.epoch, result.learning_rate
        bad = BadUpdate(update, epoch, loss, norm, learning_rate, result.batches)
        return self._guard.skip(self.progress, bad)

    def _rewind(self, fault: str) -> None:
        """Restore an earlier checkpoint's weights and lower the learning rate, if so configured.

        Raises:
            UserError: The run has to stop instead; see `DivergenceGuard.rewind`.
        """
        earlier = self._guard.rewind(self.progress, fault)
        self.updater.restore(earlier.weights, earlier.state)
        self._services.report(
            f"{fault}; rewound to the weights of {earlier.name}, update "
            f"{earlier.state['progress']['update']:,}, continuing at {self.progress.rate_scale:g} "
            "times the learning rate"
        )

    def _log_metrics(self) -> None:
        self._read_results()
        window, progress = self._window, self.progress
        values = {
            "train/loss": window.loss,
            "train/learning_rate": window.learning_rate,
            "train/gradient_norm": window.gradient_norm,
            "train/tokens_per_second": window.tokens_per_second,
            "train/epoch": float(progress.epoch),
            "train/skipped_updates": float(progress.skipped_updates),
            "train/skipped_pairs": float(progress.skipped_pairs),
            **{f"train/{k}": v for k, v in self.updater.precision.scalars().items()},
            **{f"train/{k}": v for k, v in sum_by_name(window.extra_losses()).items()},
        }
        self._services.metric_log.scalars(progress.update, values)
        self._window = MetricWindow()

    def _validate(self) -> None:
        """Score the averaged or current weights, log the scores, and save good weights.

        A loss that is not finite is a divergence; see `_rewind`.
        """
        self._read_results()
        progress, began = self.progress, time.monotonic()
        with self.updater.averaged_weights():
            with self.updater.full_parameters():
                report = self._services.validate()
            finite = math.isfinite(report.loss)
            is_best = finite and self._save_if_good(report.scalars())
        if not finite:
            progress.validation_seconds += time.monotonic() - began
            self._rewind(f"the validation loss of update {progress.update} is {report.loss}")
            return
        self._log_validation(report, is_best, time.monotonic() - began)
        value = kept_checkpoints.score(report.scalars(), self.config.training.best_metric)
        self._hopeless = processes.any(self._services.hopeless(progress.update, value))
        progress.validation_seconds += time.monotonic() - began
        self._window = MetricWindow()  # the training speed excludes validations

    def _log_validation(self, scores: ValidationScores, is_best: bool, seconds: float) -> None:
        """Log scores, samples and heatmaps, and report the scores in one line."""
        update, scalars, log = self.progress.update, scores.scalars(), self._services.metric_log
        named = {f"valid/{name}": value for name, value in scalars.items()}
        log.scalars(update, named)
        if is_best:
            log.best(update, {f"valid/{name}": scalars[name] for name in BEST_SCORES})
        for tag, text in scores.samples.items():
            log.text(update, tag, text)
        kind = attention_kind(self.config.model.decoder)
        for tag, heatmap in scores.heatmaps.items():
            title = f"{kind} {heatmap.title}, update {update:,}"
            log.heatmap(update, tag, replace(heatmap, title=title))
        self._services.report(
            f"update {update:,}  validation: perplexity {scalars['perplexity']:.2f}, "
            f"BLEU {scalars['bleu']:.2f}, chrF {scalars['chrf']:.2f}"
            f"{'  best so far' if is_best else ''}  ({seconds:.0f} s)"
        )

    def log_final_scores(self, scores: Mapping[str, float]) -> None:
        """Log the scores of the final test of the best model."""
        self._services.metric_log.finished(self.progress.update, scores)

    def _save_if_good(self, scalars: Mapping[str, float]) -> bool:
        """Save validated weights if they may be among the best; return whether they are best."""
        training, update = self.config.training, self.progress.update
        value = kept_checkpoints.score(scalars, training.best_metric)
        is_best = self.progress.validated(value, scalars["loss"], self.config.schedule)
        if is_best or training.keep_best > 1:
            name = BEST if is_best else kept_checkpoints.runner_up(update)
            self._services.save(name, update, self.updater.weights(), None, scalars)
        return is_best

    def _save_if_due(self, reason: StopReason | None) -> None:
        """Save at the end, and at the configured intervals unless the last update was skipped."""
        due = kept_checkpoints.is_due(self.config.training, self.progress.update)
        if reason is None and not due:
            return
        self._read_results()
        if reason is not None or not self.progress.skipped_in_row:
            self._save(LAST)

    def _save(self, name: str) -> None:
        self._read_results()
        state: dict[str, Any] = {
            "progress": self.progress.to_mapping(),
            **self.updater.state_dict(),
            "random": runtime.random_state(self._device),
        }
        self._services.save(name, self.progress.update, self.updater.weights(), state, {})
        self._guard.saved()

    def resume(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint's weights and training state."""
        self.updater.resume(weights, state)
        self.progress.load(state["progress"])
        self._loader.state = self._resumed_position()
        runtime.restore_random_state(state["random"], self._device)

    def _resumed_position(self) -> BatchingState:
        """Return where to continue: after the same pairs, if the batches have the same shapes."""
        progress = self.progress
        earlier, progress.batch_shapes = progress.batch_shapes, self.shapes.value
        if earlier == self.shapes or not progress.position:
            return BatchingState(progress.epoch, progress.position)
        self._services.report(
            f"the batches were {earlier} so far and are {self.shapes} now, in another order of the "
            f"pairs: training continues with epoch {progress.epoch + 2}"
        )
        return BatchingState(progress.epoch + 1)

    def set_batch_tokens(self, batch_tokens: int) -> None:
        """Set the target tokens per update, if ``training.batch_tokens`` is ``auto``."""
        training = replace(self.config.training, batch_tokens=batch_tokens)
        self.config = replace(self.config, training=training)
        self.progress.batch_tokens = batch_tokens
        state = self._loader.state
        self._loader = self._make_loader(self.config)
        self._loader.state = state

    def _stop_reason(self) -> StopReason | None:
        reason = stop_reason(self.config.training, self.progress, self._services.interrupted)
        return StopReason.PRUNED if reason is None and self._hopeless else reason


def _status(
    window: MetricWindow, progress: TrainingProgress, training: TrainingConfig
) -> TrainingStatus:
    """Return what the progress line shows."""
    return TrainingStatus(
        update=progress.update,
        max_updates=training.max_updates,
        epoch=progress.epoch + 1,
        loss=window.loss,
        learning_rate=window.learning_rate,
        gradient_norm=window.gradient_norm,
        tokens_per_second=window.tokens_per_second,
        seconds_left=seconds_left(training, progress),
    )


def _loader(
    corpus: EncodedCorpus, samplers: Samplers | None, shapes: BatchShapes, config: Config
) -> UpdateLoader:
    rank, world, data = processes.rank(), processes.world(), config.data
    batches = build_batches(shapes, corpus, config, rank=rank, world=world)
    return UpdateLoader(
        batches, workers=data.loader_workers, samplers=samplers, max_length=data.max_length
    )
