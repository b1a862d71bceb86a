"""The training loop. It knows neither search nor files: it is handed what validates and saves."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from nmt import processes, runtime
from nmt.config.schema import Config
from nmt.data.batch import Batch
from nmt.data.batching import BatchingState, UpdateBatches
from nmt.data.encoded import EncodedCorpus
from nmt.data.loader import UpdateLoader
from nmt.data.loader_process import Samplers
from nmt.model.recompute import recompute_layers
from nmt.model.seq2seq import TranslationModel
from nmt.reporting.progress_line import TrainingStatus
from nmt.training import kept_checkpoints
from nmt.training.budget import MemoryBudget
from nmt.training.guard import BadUpdate, Guard, is_finite
from nmt.training.metric_window import MetricWindow
from nmt.training.mixed_precision import MixedPrecision
from nmt.training.objective import AuxiliaryTargets, Objective
from nmt.training.optimizer import MovingAverage, build_optimizer
from nmt.training.parallel import build_strategy, seed_update, summed
from nmt.training.schedule import rate_factor
from nmt.training.services import TrainerServices
from nmt.training.training_progress import TrainingProgress


class Trainer:
    """Moves a model along its data until the budget is spent."""

    def __init__(
        self,
        model: TranslationModel,
        corpus: EncodedCorpus,
        config: Config,
        surroundings: TrainerServices,
        samplers: Samplers | None = None,
        guides: AuxiliaryTargets = AuxiliaryTargets(),  # noqa: B008  (it never changes)
    ) -> None:
        """Prepare to train a model, on the device where it is.

        Args:
            model: What is trained.
            corpus: The pairs it learns from.
            config: How.
            surroundings: What validates, saves and shows.
            samplers: Of source and target, where words are cut anew every epoch.
            guides: What it learns from besides the pairs.

        Raises:
            UserError: Samplers do not go with the word links of the corpus.
        """
        self.model = model
        self.config = config
        self.progress = TrainingProgress()
        self._world = surroundings
        self._device = model.output.weight.device
        precision = runtime.pick_precision(config.training.precision, self._device)
        self.progress.precision = str(precision).removeprefix("torch.")
        recompute_layers(model, config.training.gradient_checkpointing)
        self._engine = MixedPrecision(model, precision, self._device)
        self._guard = Guard(config, surroundings.keep, surroundings.reload)
        self._passes = build_strategy(config.training.parallel, model)
        self._anchor = guides.anchor and guides.anchor.hold(model, self._passes.parted)
        self._objective = Objective(config.training, guides.teacher)
        self._optimizer = build_optimizer(config.optimizer, model)
        decay = config.training.ema_decay
        self._average = None if decay is None else MovingAverage(model, decay)
        self._make_loader = partial(_loader, corpus, samplers)
        self._loader = self._make_loader(config)
        self._window = MetricWindow()
        self._budget = MemoryBudget(
            model, self._passes, surroundings.say, lambda: self._window.forget()
        )

    def train(self) -> str:
        """Train until the budget is spent and return why it stopped.

        Raises:
            UserError: The loss is no longer a number.
        """
        training, progress = self.config.training, self.progress
        started = time.monotonic() - progress.seconds
        reason = self._stop_reason()
        with self._loader:
            for batches, state in self._loader if reason is None else ():
                progress.epoch, progress.position = state.epoch, state.position
                self._update(batches)
                progress.seconds = time.monotonic() - started
                if progress.update % self.config.logging.log_every == 0:
                    self._log_curves()
                if progress.update % training.validate_every == 0:
                    self._validate()
                    progress.seconds = time.monotonic() - started
                reason = self._stop_reason()
                due = (
                    kept_checkpoints.is_due(training, progress.update)
                    and not progress.skipped_in_row
                )
                if reason is not None or due:
                    self._save("last.pt")
                if reason is not None:
                    break
        if reason != "interrupted" and progress.update != progress.validated_update:
            while progress.update != progress.validated_update:
                self._validate()
            progress.seconds = time.monotonic() - started
            self._save("last.pt")
        return reason or "max_updates"

    def _update(self, batches: list[Batch]) -> None:
        """Make one optimizer step; the loss is divided by the tokens of all, in every process."""
        progress, training = self.progress, self.config.training
        self._world.watch.begin(batches)
        progress.update += 1
        seed_update(self.config.seed, progress.update)
        self.model.train()
        made = self._budget.gradient(batches, progress, self._backward, self._device)
        self._world.watch.phase("optimizer")
        if self._anchor is not None:
            penalty = self._passes.gathered(self._anchor.pull(self._engine.scaled))
            self._window.add_extra({"anchor": penalty * made.tokens / processes.world()})
        norm = self._engine.clip(training.clip_norm)
        factor = rate_factor(
            self.config.schedule, progress.update, training.max_updates, progress.reductions
        )
        rate = progress.rate_scale * factor * self.config.optimizer.learning_rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        norm_value = self._passes.gathered(norm).item()  # waits for the device
        (loss_value,) = processes.total([made.loss.item()])
        if not made.tokens or not is_finite(loss_value, norm_value):
            epoch, update = progress.epoch, progress.update
            self._skip(BadUpdate(update, epoch, loss_value, norm_value, rate, made.batches))
            return
        self._engine.went_well()
        self._guard.accept(progress)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update(progress.update)
        progress.tokens += made.tokens
        self._window.add(loss_value, made.tokens, norm_value, rate)
        self._world.line.update(self._status())

    def attempt(self, batch: Batch, *, step: bool = False) -> None:
        """Make the gradient of a batch and forget it, or make a step that nobody counts."""
        self.model.train()
        self._optimizer.zero_grad(set_to_none=True)
        try:
            self._backward(batch, batch.num_tokens, last=step)
            if step:
                self._passes.finish()
                self._engine.clip(self.config.training.clip_norm)
                self._optimizer.step()
        finally:
            self._optimizer.zero_grad(set_to_none=True)
            self._window.forget()

    def take_budget(self, batch_tokens: int) -> None:
        """Make updates of this many target tokens, which the settings leave open."""
        training = replace(self.config.training, batch_tokens=batch_tokens)
        self.config = replace(self.config, training=training)
        self.progress.batch_tokens = batch_tokens
        state = self._loader.state
        self._loader = self._make_loader(self.config)
        self._loader.state = state

    def _skip(self, bad: BadUpdate) -> None:
        """Leave an update undone; after too many in a row, see `_diverged`."""
        self._optimizer.zero_grad(set_to_none=True)
        self._window.forget()
        if is_finite(bad.loss, bad.norm) or self._engine.overflowed(bad.loss):
            return  # no pair of it fits into memory; or its loss was scaled too far
        fault = self._guard.skip(self.progress, bad)
        if fault is not None:
            self._diverged(fault)

    def _diverged(self, fault: str) -> None:
        """Go back to an earlier checkpoint's weights at a lower rate, if that is asked for.

        Raises:
            UserError: The run shall stop instead, or has gone back often enough.
        """
        rate = self._optimizer.param_groups[0]["lr"]
        earlier = self._guard.rewound(self.progress, fault, rate)
        self._restore(earlier.weights, earlier.state)
        self._world.say(
            f"{fault}; back to the weights of {earlier.name}, update "
            f"{earlier.state['progress']['update']:,}, and on at {self.progress.rate_scale:g} "
            "times the learning rate"
        )

    def _backward(self, batch: Batch, tokens: int, last: bool) -> Tensor:
        """Add a batch's part of the update's gradient and return its part of the mean loss."""
        self._world.watch.phase("forward")
        batch = batch.to(self._device)
        with self._engine.autocast():
            loss = self._passes.forward(lambda: self._objective(self.model, batch))
        self._window.add_extra(loss.extra)
        mean = loss.smoothed / tokens
        self._world.watch.phase("backward")
        self._passes.backward(self._engine.scaled(mean), last=last)
        return mean.detach()

    def _log_curves(self) -> None:
        window, progress = self._window, self.progress
        values = {
            "train/loss": window.loss,
            "train/learning_rate": window.rate,
            "train/gradient_norm": window.norm,
            "train/tokens_per_second": window.tokens_per_second,
            "train/epoch": float(progress.epoch),
            "train/skipped_updates": float(progress.skipped_updates),
            "train/skipped_pairs": float(progress.skipped_pairs),
            **{f"train/{name}": value for name, value in self._engine.scalars().items()},
            **{f"train/{name}": value for name, value in summed(window.extra()).items()},
        }
        self._world.log.scalars(progress.update, values)
        self._window = MetricWindow()

    def _validate(self) -> None:
        """Score the model or, where one is kept, its average; log it; keep it if it is best.

        A loss that is no number is a divergence; see `_diverged`.
        """
        progress, log = self.progress, self._world.log
        began = time.monotonic()
        if self._average is not None:
            self._average.swap()
        try:
            with self._passes.whole():
                report = self._world.validate()
            scalars, finite = report.scalars(), math.isfinite(report.loss)
            best = finite and self._keep_if_good(scalars)
        finally:
            if self._average is not None:
                self._average.swap()
        if not finite:
            progress.validation_seconds += time.monotonic() - began
            self._diverged(f"the validation loss of update {progress.update} is {report.loss}")
            return
        log.scalars(progress.update, {f"valid/{name}": v for name, v in scalars.items()})
        for tag, text in report.samples.items():
            log.text(progress.update, tag, text)
        for tag, heatmap in report.heatmaps.items():
            log.heatmap(progress.update, tag, heatmap)
        self._world.say(
            f"update {progress.update:,}  validation: perplexity {scalars['perplexity']:.2f}, "
            f"BLEU {scalars['bleu']:.2f}, chrF {scalars['chrf']:.2f}"
            f"{'  best so far' if best else ''}  ({time.monotonic() - began:.0f} s)"
        )
        progress.validation_seconds += time.monotonic() - began
        self._window = MetricWindow()  # the curves' speed leaves validation out

    def _keep_if_good(self, scalars: Mapping[str, float]) -> bool:
        """Save a model that was validated, if it is among the best; tell whether it is the best."""
        training, update = self.config.training, self.progress.update
        value = kept_checkpoints.score(scalars, training.best_metric)
        best = self.progress.validated(value, scalars["loss"], self.config.schedule)
        if best or training.keep_best > 1:
            name = kept_checkpoints.BEST if best else kept_checkpoints.runner_up(update)
            weights = self._passes.gathered(self.model.state_dict())
            self._world.save(name, update, weights, None, scalars)
        return best

    def _save(self, name: str) -> None:
        weights = self._passes.gathered(self.model.state_dict())
        state: dict[str, Any] = {
            "progress": self.progress.to_mapping(),
            "optimizer": self._passes.gathered(self._optimizer.state_dict()),
            "engine": self._engine.state_dict(),
            "random": runtime.random_state(self._device),
            "average": self._passes.gathered(self._average and self._average.average),
        }
        self._world.save(name, self.progress.update, weights, state, {})
        self._guard.saved()

    def resume(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's weights and training state."""
        self._restore(weights, state)
        self.progress = TrainingProgress(**state["progress"])
        self._loader.state = BatchingState(self.progress.epoch, self.progress.position)
        self._engine.load_state_dict(state.get("engine", {}))
        runtime.restore_random_state(state["random"], self._device)

    def _restore(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take over what an optimizer step moves."""
        self._passes.load_weights(self.model, weights)
        self._passes.load_optimizer(self._optimizer, state["optimizer"])
        if self._average is not None and state["average"] is not None:
            self._average.load(self._passes.parted(state["average"], self._average.average))

    def _stop_reason(self) -> str | None:
        training, progress = self.config.training, self.progress
        if progress.update >= training.max_updates:
            return "max_updates"
        if training.max_minutes is not None and processes.any(
            progress.seconds >= 60 * training.max_minutes
        ):
            return "max_minutes"
        if training.patience is not None and progress.without_gain >= training.patience:
            return "patience"
        return "interrupted" if processes.any(self._world.interrupted()) else None

    def _status(self) -> TrainingStatus:
        window, progress, training = self._window, self.progress, self.config.training
        speed = progress.seconds / max(1, progress.update)
        left = speed * (training.max_updates - progress.update)
        if training.max_minutes is not None:
            left = min(left, 60 * training.max_minutes - progress.seconds)
        return TrainingStatus(
            update=progress.update,
            max_updates=training.max_updates,
            epoch=progress.epoch + 1,
            loss=window.loss,
            learning_rate=window.rate,
            gradient_norm=window.norm,
            tokens_per_second=window.tokens_per_second,
            seconds_left=max(0.0, left) if progress.seconds else None,
        )


def _loader(corpus: EncodedCorpus, samplers: Samplers | None, config: Config) -> UpdateLoader:
    rank, world, data = processes.rank(), processes.world(), config.data
    batches = UpdateBatches.of_config(corpus, config, rank=rank, world=world)
    return UpdateLoader(
        batches, workers=data.loader_workers, samplers=samplers, max_length=data.max_length
    )
