"""One update: forward and backward passes, gradient clipping, optimizer step, moving average.

An update is applied only if its loss and its gradient norm are finite. Otherwise it is skipped:
weights, optimizer state and moving average do not change. On a CPU, the host makes this decision.
On other devices, a host read would wait for all queued work. So the flag stays on the device, and
the fused optimizers read it as ``found_inf``, as they do for `torch.amp.GradScaler`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor

from nmt import processes, runtime
from nmt.config.schema import Config
from nmt.data.batches.batch import Batch
from nmt.data.batches.device_copies import DeviceCopies
from nmt.kernels.linear.weight_casts import WeightCasts
from nmt.kernels.private_torch import supports_found_inf
from nmt.model.layers import Linear
from nmt.model.seq2seq import TranslationModel
from nmt.model.transformer.recompute import recompute_layers
from nmt.training.objective import AuxiliaryTargets, Objective
from nmt.training.optimizer import (
    build_optimizer,
    can_clip,
    clip_divisor,
    make_step,
    step_unless,
    with_own_settings,
)
from nmt.training.parallel.training_processes import build_strategy, seed_update, sum_on_device
from nmt.training.passes.budget import Gradient, MemoryBudget
from nmt.training.passes.captured_passes import PassLosses
from nmt.training.passes.compilation import captured_passes, compile_layers
from nmt.training.passes.mixed_precision import MixedPrecision
from nmt.training.schedule import learning_rate_factor
from nmt.training.services import Report, UpdateProfiler
from nmt.training.span_bounds import bound_spans
from nmt.training.step_results import StepResult, are_finite
from nmt.training.training_progress import TrainingProgress
from nmt.training.weight_ema import WeightEma


class Updater:
    """Moves a model's weights by one update at a time.

    Attributes:
        model: The model in training.
        optimizer: Its optimizer.
        average: The moving average of its weights; None where ``training.ema_decay`` is off.
        precision: The autocast dtype and the loss scale.
        strategy: How processes share an update.
        checks_on_device: Whether the device, without a host read, decides to skip an update.
        memory: Runs the passes, in smaller batches after memory has run out.
    """

    def __init__(
        self,
        model: TranslationModel,
        config: Config,
        progress: TrainingProgress,
        targets: AuxiliaryTargets,
        *,
        report: Report,
        profiler: UpdateProfiler,
        check_on_device: bool,
    ) -> None:
        """Prepare to train a model on its current device.

        Args:
            model: The model. With ``training.parallel=fsdp`` its parameters become shards.
            config: The run's configuration.
            progress: The run's progress; each step adds 1 to its update.
            targets: Other models from which the run learns.
            report: Prints a line, such as a warning that memory ran out.
            profiler: Hooks around the parts of an update.
            check_on_device: Whether the device decides to skip an update, if the optimizer supports
                this (fused Adam, AdamW and SGD). For Adadelta, the host decides before each step:
                Adadelta has no ``found_inf``, and restoring a copy of its state would cost more
                than the host read.
        """
        training = config.training
        self.model = model
        self._config, self._progress, self._profiler = config, progress, profiler
        self._device = model.output.weight.device
        dtype = runtime.pick_precision(training.precision, self._device)
        self.precision = MixedPrecision(model, dtype, self._device)
        recompute_layers(model, training.gradient_checkpointing)
        compile_layers(model, training.compile)
        self.strategy = build_strategy(training.parallel, model)
        self._anchor = targets.anchor and targets.anchor.attach(model, self.strategy.shard)
        self._objective = Objective(training, targets.teacher)
        self._copies = DeviceCopies(self._device)
        self._weight_casts = WeightCasts(self._layers_to_cast())
        self.optimizer = build_optimizer(config.optimizer, model)
        self.checks_on_device = check_on_device and supports_found_inf(self.optimizer)
        self._clips_in_step = self.checks_on_device and can_clip(self.optimizer)
        decay = training.ema_decay
        self.average = None if decay is None else WeightEma(model, decay)
        modules = [model] if targets.teacher is None else [model, targets.teacher.model]
        self._captured = captured_passes(self._pass, modules, config, self._device, report)
        self._extra: dict[str, Tensor] = {}
        freed = (lambda: False) if self._captured is None else self._captured.has_freed_memory
        self.memory = MemoryBudget(model, self.strategy, report, self._extra.clear, freed)

    def step(self, batches: Sequence[Batch]) -> StepResult:
        """Make one update; the loss is divided by the target tokens of all processes."""
        progress = self._progress
        self._profiler.begin(batches)
        progress.update += 1
        seed_update(self._config.seed, progress.update)
        self.model.train()
        gradient = self.memory.gradient(batches, progress, self._backward, self._device)
        self._profiler.phase("optimizer")
        if self._anchor is not None:
            penalty = self.strategy.gather(self._anchor.add_gradient(self.precision.scaled))
            self._add_extra({"anchor": penalty * gradient.tokens / processes.world()})
        max_norm = self._config.training.clip_norm
        norm = self.precision.norm() if self._clips_in_step else self.precision.clip(max_norm)
        norm = self.strategy.gather(norm)
        divisor = clip_divisor(norm, max_norm) if self._clips_in_step else None
        learning_rate = self._set_learning_rate()
        loss = gradient.loss
        if processes.world() > 1:
            loss = sum_on_device(loss.double())
        result = self._apply(gradient, loss, norm, learning_rate, divisor)
        self.optimizer.zero_grad(set_to_none=True)
        return result

    def _apply(
        self,
        gradient: Gradient,
        loss: Tensor,
        norm: Tensor,
        learning_rate: float,
        divisor: Tensor | None,
    ) -> StepResult:
        """Make the optimizer step and move the average, if loss and gradient are finite.

        The step divides the gradient by the divisor, if there is one.
        """
        progress, overflow = self._progress, None
        if gradient.tokens:
            finite = are_finite(loss, norm)
            overflow = self.precision.update_scale(loss, norm)
            if self.checks_on_device:
                step_unless(self.optimizer, ~finite, divisor)
                bound_spans(self.model)
                if self.average is not None:
                    self.average.update_if(finite, progress.update)
            elif finite.item():
                make_step(self.optimizer)
                bound_spans(self.model)
                if self.average is not None:
                    self.average.update(progress.update)
        extra = dict(self._extra)
        return StepResult(
            update=progress.update,
            epoch=progress.epoch,
            loss=loss,
            gradient_norm=norm,
            scale_overflow=overflow,
            tokens=gradient.tokens,
            learning_rate=learning_rate,
            batches=gradient.batches,
            extra_losses=extra,
        )

    def attempt(self, batch: Batch, *, step: bool = False) -> None:
        """Compute a batch's gradient and discard it, to find out whether the batch fits in memory.

        Args:
            batch: The batch.
            step: Whether to clip and to make an optimizer step, too. The step is not counted.
        """
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        try:
            self._pass(batch.to(self._device), self._scalar(batch.num_tokens), last=step)
            if step:
                self.strategy.finish()
                self.precision.clip(self._config.training.clip_norm)
                make_step(self.optimizer)
        finally:
            self.optimizer.zero_grad(set_to_none=True)
            self._extra.clear()

    def _backward(self, batch: Batch, tokens: int, last: bool) -> Tensor:
        """Accumulate a batch's gradient and return its share of the update's mean loss.

        Args:
            batch: One batch of the update, on the CPU.
            tokens: Target tokens of the update in all processes; the loss is divided by them.
            last: Whether this is the last batch of the update.
        """
        self._profiler.phase("forward")
        if self._captured is not None:  # one process, which replays a graph for every known shape
            losses = self._captured(batch, tokens)
        else:
            losses = self._pass(self._copies(batch), self._scalar(tokens), last)
        self._add_extra(losses.extra)
        return losses.mean

    def _pass(self, batch: Batch, tokens: Tensor, last: bool = True) -> PassLosses:
        """Run the forward and the backward pass of a batch on the device; a graph captures this."""
        with self.precision.autocast(), self._weight_casts():
            loss = self.strategy.forward(lambda: self._objective(self.model, batch))
        mean = loss.smoothed / tokens
        if self._captured is None:
            self._profiler.phase("backward")  # it may wait for the device
        self.strategy.backward(self.precision.scaled(mean), last=last)
        return PassLosses(mean.detach(), loss.extra)

    def _scalar(self, number: int) -> Tensor:
        """Return a scalar on the device; unlike a copy, a fill does not make the host wait."""
        return torch.full((), float(number), device=self._device)

    def _layers_to_cast(self) -> list[Linear]:
        """Return the layers whose weights are cast together; see `nmt.kernels.linear.weight_casts`.

        Several processes send gradients while the backward pass still runs. So they cast nothing
        together: each gradient is cast as soon as it is known.
        """
        if processes.world() > 1:
            return []
        return [module for module in self.model.modules() if isinstance(module, Linear)]

    def _add_extra(self, losses: Mapping[str, Tensor]) -> None:
        for name, loss in losses.items():
            before = self._extra.get(name)
            self._extra[name] = loss if before is None else before + loss

    def _set_learning_rate(self) -> float:
        progress, config = self._progress, self._config
        factor = learning_rate_factor(
            config.schedule, progress.update, config.training.max_updates, progress.reductions
        )
        learning_rate = progress.rate_scale * factor * config.optimizer.learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        return learning_rate

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Use the moving average, if there is one, as the model's weights inside the block."""
        if self.average is None:
            yield
            return
        self.average.swap()
        try:
            yield
        finally:
            self.average.swap()

    def full_parameters(self) -> AbstractContextManager[None]:
        """Return a context in which every process can use the complete model independently."""
        return self.strategy.full_parameters()

    def weights(self) -> Mapping[str, Tensor]:
        """Return the model's full weights, by name."""
        weights: Mapping[str, Tensor] = self.strategy.gather(self.model.state_dict())
        return weights

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint stores besides the weights, with full tensors."""
        return {
            "optimizer": self.strategy.gather(self.optimizer.state_dict()),
            "engine": self.precision.state_dict(),
            "average": self.strategy.gather(self.average and self.average.average),
        }

    def resume(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Load a checkpoint's weights and training state."""
        self.restore(weights, state)
        self.precision.load_state_dict(state.get("engine", {}))

    def restore(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Load what an optimizer step changes: weights, optimizer state and moving average."""
        self.strategy.load_weights(self.model, weights)
        saved = with_own_settings(self.optimizer, state["optimizer"])
        self.strategy.load_optimizer(self.optimizer, saved)
        if self.average is not None and state["average"] is not None:
            self.average.load(self.strategy.shard(state["average"], self.average.average))
