"""Captures the forward and backward pass of a batch as a graph, one for each shape.

A GPU computes a small pass faster than the host launches its operations one by one. A graph records
the operations once and launches them together. At every replay, it reads and writes the same
memory. So a captured pass must not read values on the host, or use values of the host that may
change. Its gradients must keep their addresses.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from nmt.data.batches.batch import Batch
from nmt.kernels.tensor_lists import add_all_, zero_all_
from nmt.training.passes.budget import is_out_of_memory
from nmt.training.services import Report

MOST_GRAPHS = 64
"""The greatest number of captured shapes; further shapes run uncaptured."""


@dataclass(frozen=True)
class PassLosses:
    """The losses of one pass, scalars on the device, detached from autograd.

    Attributes:
        mean: The batch's share of the update's mean loss.
        extra: Sums of the extra losses over the batch, by name.
    """

    mean: Tensor
    extra: Mapping[str, Tensor]

    def clone(self) -> "PassLosses":
        """Return a copy, which later replays do not change."""
        return PassLosses(
            self.mean.clone(), {name: loss.clone() for name, loss in self.extra.items()}
        )


Run = Callable[[Batch, Tensor], PassLosses]
"""Runs the passes of a batch; the other argument is the update's token count, on the device."""

Recorded = Callable[[], PassLosses]
"""Runs a pass on stored inputs; every replay of a graph returns the same loss tensors."""


class GraphBackend(Protocol):
    """A device that captures the operations of a function and replays them."""

    def warm_up(self, run: Recorded) -> PassLosses:
        """Run a function before its capture, so that its lazy initialization is not captured."""

    def capture(self, run: Recorded) -> Recorded:
        """Record a function without running it, and return its replay.

        The capture draws no random numbers. Each replay draws new ones from the generator.

        Raises:
            RuntimeError: The function cannot be captured.
        """


@dataclass
class _Shape:
    """All batches of one shape.

    Attributes:
        batch: The inputs of the pass, on the device; each batch is copied into them.
        parameters: The parameters that receive a gradient in a pass.
        replay: Launches the graph; None until it is captured.
        addresses: The memory addresses of the parameters when the graph was captured.
        constants: The buffers that the graph reads, which must therefore stay in memory.
    """

    batch: Batch
    parameters: list[nn.Parameter]
    replay: Recorded | None = None
    addresses: list[int] = field(default_factory=list)
    constants: list[Tensor] = field(default_factory=list)

    def load(self, batch: Batch) -> None:
        """Copy a batch into the inputs; the host does not wait for the copy."""
        on_cpu = self.batch.source_ids.is_cpu
        for own, new in zip(_tensors(self.batch), _tensors(batch), strict=True):
            own.copy_(new if on_cpu else new.pin_memory(), non_blocking=True)


class CapturedPasses:
    """Runs the passes of one process; if the shape of a batch repeats, it replays a graph.

    The first batch of a shape runs uncaptured, which completes all lazy initialization. The second
    batch is captured. If a capture fails, all later passes run uncaptured.
    """

    def __init__(
        self,
        run: Run,
        modules: Sequence[nn.Module],
        backend: GraphBackend,
        report: Report,
    ) -> None:
        """Capture a function.

        Args:
            run: Accumulates the gradient of a batch. Which operations it launches depends only on
                the shape of the batch.
            modules: The model in training, then other modules that ``run`` reads.
            backend: Captures and replays ``run``.
            report: Prints one line.
        """
        self._run, self._modules, self._backend, self._report = run, modules, backend, report
        parameters = [p for p in modules[0].parameters() if p.requires_grad]
        self._parameters, self._device = parameters, parameters[0].device
        self._tokens = torch.zeros((), device=self._device)
        self._gradients: dict[nn.Parameter, Tensor] = {}
        self._shapes: dict[Hashable, _Shape] = {}
        self._is_on = True
        self._has_freed = False

    def has_freed_memory(self) -> bool:
        """Return whether graphs were dropped because memory ran out; each drop is reported once."""
        freed, self._has_freed = self._has_freed, False
        return freed

    def __call__(self, batch: Batch, tokens: int) -> PassLosses:
        """Accumulate the gradient of a batch on the CPU, as a share of an update of ``tokens``."""
        try:
            return self._losses(batch, tokens)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error) and self._is_on:
                self._has_freed = any(shape.replay for shape in self._shapes.values())
                self._stop("memory ran out; passes are no longer captured as CUDA graphs")
            raise

    def _losses(self, batch: Batch, tokens: int) -> PassLosses:
        key = _key(batch)
        shape = self._shapes.get(key)
        new = shape is None and len(self._shapes) < MOST_GRAPHS
        if not self._is_on or not batch.fixed_shape or not (new or shape):
            return self._run(batch.to(self._device), self._tokens.new_full((), tokens))
        self._tokens.fill_(tokens)
        if shape is None:
            shape = self._shapes[key] = _Shape(self._inputs(batch), [])
            shape.load(batch)
            return self._warm_up(shape)
        shape.load(batch)
        if shape.addresses != [p.data_ptr() for p in shape.parameters]:
            self._capture(shape)
        if shape.replay is None:
            return self._run(shape.batch, self._tokens)
        self._attach(shape.parameters)
        return shape.replay().clone()

    def _inputs(self, batch: Batch) -> Batch:
        """Return a batch of the same shape in new memory on the device, without values."""
        return batch.without_counts().map(lambda t: torch.empty_like(t, device=self._device))

    def _warm_up(self, shape: _Shape) -> PassLosses:
        """Run a pass, and record which parameters receive a gradient."""
        before = [p.grad for p in self._parameters]
        for parameter in self._parameters:
            parameter.grad = None
        losses = self._backend.warm_up(lambda: self._run(shape.batch, self._tokens))
        shape.parameters = [p for p in self._parameters if p.grad is not None]
        sums, terms = [], []
        for parameter, earlier in zip(self._parameters, before, strict=True):
            if earlier is None:
                continue
            if parameter.grad is not None:
                sums.append(earlier)
                terms.append(parameter.grad)
            parameter.grad = earlier
        add_all_(sums, terms)
        return losses

    def _capture(self, shape: _Shape) -> None:
        """Capture a pass without running it; if this fails, the gradients stay as they were."""
        before = [None if p.grad is None else p.grad.clone() for p in shape.parameters]
        self._attach(shape.parameters)
        shape.constants = [b for module in self._modules for b in module.buffers()]
        try:
            shape.replay = self._backend.capture(lambda: self._run(shape.batch, self._tokens))
            shape.addresses = [p.data_ptr() for p in shape.parameters]
        except (MemoryError, RuntimeError) as error:
            for parameter, gradient in zip(shape.parameters, before, strict=True):
                parameter.grad = gradient
            self._stop(
                f"a pass could not be captured as a CUDA graph ({_first_cause(error)}); the run "
                "continues without graphs"
            )

    def _stop(self, reason: str) -> None:
        self._is_on = False
        for shape in self._shapes.values():
            shape.replay = None
        self._shapes.clear()
        self._gradients.clear()
        self._report(f"training.compile: {reason}")

    def _attach(self, parameters: Sequence[nn.Parameter]) -> None:
        """Move the gradients of parameters to the memory in which graphs accumulate gradients."""
        empty = []
        for parameter in parameters:
            static = self._gradients.get(parameter)
            if static is None:
                static = self._gradients[parameter] = torch.empty_like(parameter.detach())
            if parameter.grad is static:
                continue
            if parameter.grad is None:
                empty.append(static)
            else:
                static.copy_(parameter.grad)
            parameter.grad = static
        zero_all_(empty)


def _first_cause(error: BaseException) -> str:
    """Return the first line of the first error; the end of a failed capture raises another one."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().split("\n")[0]


def _tensors(batch: Batch) -> list[Tensor]:
    """Return the tensors of a batch that the device reads, in a fixed order."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    batch.map(keep)
    return found


def _key(batch: Batch) -> Hashable:
    """Return a key that is equal for batches whose passes launch the same operations."""
    shapes = tuple((tuple(tensor.shape), tensor.dtype) for tensor in _tensors(batch))
    packing = batch.packing
    return shapes, packing and (packing.longest_source, packing.longest_target)
