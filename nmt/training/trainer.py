"""The training loop. It knows neither search nor files: it is handed what validates and saves."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nmt import runtime
from nmt.config.schema import Config
from nmt.data.batch import Batch
from nmt.data.batching import BatchingState, UpdateBatches
from nmt.data.encoded import EncodedCorpus
from nmt.data.loader import UpdateLoader
from nmt.data.loader_process import Samplers
from nmt.errors import UserError
from nmt.model.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel
from nmt.reporting.heatmap import Heatmap
from nmt.reporting.metric_log import MetricLog
from nmt.reporting.progress import ProgressLine, TrainingStatus
from nmt.training.optimizer import MovingAverage, build_optimizer
from nmt.training.progress import TrainingProgress
from nmt.training.schedule import rate_factor


class Report(Protocol):
    """What a validation tells."""

    @property
    def loss(self) -> float:
        """Nats a target piece."""

    @property
    def samples(self) -> Mapping[str, str]:
        """Texts to show, by tag."""

    @property
    def heatmaps(self) -> Mapping[str, Heatmap]:
        """Pictures to show, by tag."""

    def scalars(self) -> dict[str, float]:
        """All numbers by name, ``bleu`` and ``perplexity`` among them."""


@dataclass(frozen=True)
class Surroundings:
    """What a trainer is handed to act on the world.

    Attributes:
        validate: Scores the model as it is.
        save: Writes a checkpoint by name from weights, training state and scores.
        log: Takes curves, samples and pictures.
        line: The live progress line.
        say: Tells people a line of news.
        interrupted: Whether someone has asked the run to stop.
    """

    validate: Callable[[], Report]
    save: Callable[[str, Mapping[str, Tensor], Mapping[str, Any] | None, Mapping[str, float]], None]
    log: MetricLog
    line: ProgressLine
    say: Callable[[str], None]
    interrupted: Callable[[], bool]


class Trainer:
    """Moves a model along its data until the budget is spent."""

    def __init__(
        self,
        model: TranslationModel,
        corpus: EncodedCorpus,
        config: Config,
        surroundings: Surroundings,
        samplers: Samplers | None = None,
    ) -> None:
        """Prepare to train a model, on the device where it is.

        Args:
            model: What is trained.
            corpus: The pairs it learns from.
            config: How.
            surroundings: What validates, saves and shows.
            samplers: Of source and target, where words are cut anew every epoch.

        Raises:
            UserError: Samplers do not go with the word links of the corpus.
        """
        self.model = model
        self.config = config
        self.progress = TrainingProgress()
        self._world = surroundings
        self._device = model.output.weight.device
        self._precision = runtime.pick_precision(config.training.precision, self._device)
        self._optimizer = build_optimizer(config.optimizer, model)
        decay = config.training.ema_decay
        self._average = None if decay is None else MovingAverage(model, decay)
        self._loader = _loader(corpus, config, samplers)
        self._window = _Window()

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
                if reason is not None or progress.update % training.save_every == 0:
                    self._save("last.pt")
                if reason is not None:
                    break
        if reason != "interrupted" and progress.update != progress.validated_update:
            self._validate()
            progress.seconds = time.monotonic() - started
            self._save("last.pt")
        return reason or "max_updates"

    def _update(self, batches: list[Batch]) -> None:
        """Make one optimizer step; the loss is divided by the tokens of the whole update."""
        progress, training = self.progress, self.config.training
        progress.update += 1
        tokens = sum(batch.num_tokens for batch in batches)
        self.model.train()
        loss = torch.zeros((), device=self._device)
        for batch in batches:
            loss += self._backward(batch.to(self._device), tokens)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), training.clip_norm or math.inf)
        rate = self.config.optimizer.learning_rate * rate_factor(
            self.config.schedule, progress.update, training.max_updates, progress.reductions
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss_value, norm_value = loss.item(), norm.item()  # waits for the device
        if not math.isfinite(norm_value):
            raise UserError(
                f"the gradient of update {progress.update} is not finite (loss {loss_value}); the "
                f"last checkpoint is intact: lower optimizer.learning_rate={rate:g} or set "
                "training.clip_norm"
            )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update(progress.update)
        progress.tokens += tokens
        self._window.add(loss_value, tokens, norm_value, rate)
        self._world.line.update(self._status())

    def _backward(self, batch: Batch, tokens: int) -> Tensor:
        """Add a batch's part of the update's gradient and return its part of the mean loss."""
        training = self.config.training
        with runtime.autocast(self._device, self._precision):
            loss = sequence_loss(
                self.model,
                batch,
                training.label_smoothing,
                guided=training.guided_alignment,
                coverage_weight=training.coverage_loss,
            )
        self._window.add_extra(loss.extra)
        mean = loss.smoothed / tokens
        mean.backward()
        return mean.detach()

    def _log_curves(self) -> None:
        window, progress = self._window, self.progress
        values = {
            "train/loss": window.loss,
            "train/learning_rate": window.rate,
            "train/gradient_norm": window.norm,
            "train/tokens_per_second": window.tokens_per_second,
            "train/epoch": float(progress.epoch),
            **{f"train/{name}": value for name, value in window.extra().items()},
        }
        self._world.log.scalars(progress.update, values)
        self._window = _Window()

    def _validate(self) -> None:
        """Score the model or, where one is kept, its average; log it; keep it if it is best."""
        progress, log = self.progress, self._world.log
        began = time.monotonic()
        if self._average is not None:
            self._average.swap()
        try:
            report = self._world.validate()
            if not math.isfinite(report.loss):
                raise UserError(
                    f"the validation loss of update {progress.update} is {report.loss}; the last "
                    "checkpoint is intact: lower optimizer.learning_rate or set training.clip_norm"
                )
            scalars = report.scalars()
            key = self.config.training.best_metric
            score = -scalars[key] if key == "perplexity" else scalars[key]
            best = progress.validated(score, self.config.schedule)
            if best:
                self._world.save("best.pt", self.model.state_dict(), None, scalars)
        finally:
            if self._average is not None:
                self._average.swap()
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
        self._window = _Window()  # the curves' speed leaves validation out

    def _save(self, name: str) -> None:
        weights = self.model.state_dict()
        state: dict[str, Any] = {
            "progress": self.progress.to_mapping(),
            "optimizer": self._optimizer.state_dict(),
            "random": random_state(self._device),
            "average": None if self._average is None else self._average.average,
        }
        self._world.save(name, weights, state, {})

    def resume(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's weights and training state."""
        self.model.load_state_dict(dict(weights))
        self.progress = TrainingProgress(**state["progress"])
        self._loader.state = BatchingState(self.progress.epoch, self.progress.position)
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None and state["average"] is not None:
            self._average.load(state["average"])
        restore_random_state(state["random"], self._device)

    def _stop_reason(self) -> str | None:
        training, progress = self.config.training, self.progress
        if progress.update >= training.max_updates:
            return "max_updates"
        if training.max_minutes is not None and progress.seconds >= 60 * training.max_minutes:
            return "max_minutes"
        if training.patience is not None and progress.without_gain >= training.patience:
            return "patience"
        return "interrupted" if self._world.interrupted() else None

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


def _loader(corpus: EncodedCorpus, config: Config, samplers: Samplers | None) -> UpdateLoader:
    batches, data = UpdateBatches.of_config(corpus, config), config.data
    return UpdateLoader(
        batches, workers=data.loader_workers, samplers=samplers, max_length=data.max_length
    )


class _Window:
    """Means over the updates since the curves were last logged."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._losses, self._norms = 0.0, 0.0
        self._updates, self._tokens = 0, 0
        self._extra: dict[str, Tensor] = {}
        self.rate = 0.0

    def add(self, loss: float, tokens: int, norm: float, rate: float) -> None:
        self._losses += loss * tokens
        self._tokens += tokens
        self._norms += norm
        self._updates += 1
        self.rate = rate

    def add_extra(self, costs: Mapping[str, Tensor]) -> None:
        for name, cost in costs.items():  # summed on the device, so that nothing waits for it
            self._extra[name] = self._extra[name] + cost if name in self._extra else cost

    def extra(self) -> dict[str, float]:
        """Extra losses by name, a target piece."""
        return {name: cost.item() / max(1, self._tokens) for name, cost in self._extra.items()}

    @property
    def loss(self) -> float:
        return self._losses / max(1, self._tokens)

    @property
    def norm(self) -> float:
        return self._norms / max(1, self._updates)

    @property
    def tokens_per_second(self) -> float:
        return self._tokens / max(1e-9, time.monotonic() - self._started)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's generators: the CPU's, and the device's own."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["device"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the generators as `random_state` found them."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "device" in state:
        torch.cuda.set_rng_state(state["device"], device)
