"""Repeated steps on tensors of fixed shapes, as a CUDA graph if possible.

A graph runs the kernels of a step without work of the host. It always reads the state from the same
memory, so each step copies the new state to the memory of the old state.
"""

import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor

from nmt.kernels.graph_capture import undisturbed_capture

State = TypeVar("State")


class Graph(Protocol):
    """Captured operations."""

    def replay(self) -> None:
        """Run the operations again, on the same memory."""


class Graphs(Protocol):
    """Captures graphs."""

    def capture(self, function: Callable[[], None]) -> Graph | None:
        """Capture the operations of a function without running them; None: this is impossible."""


class RepeatedStep(Generic[State]):
    """Applies a function from state to state repeatedly.

    The first call runs the function, which also prepares the libraries of the device for a capture.
    Then the function is captured, and later calls replay the graph. If the shapes or numbers of the
    state have changed, there is no capture.

    Attributes:
        state: The newest state.
    """

    def __init__(
        self, function: Callable[[State], State], state: State, graphs: Graphs | None
    ) -> None:
        """Begin with a state, e.g. a `nmt.model.interfaces.DecoderState`."""
        self.state = state
        self._function = function
        self._graphs = graphs
        self._graph: Graph | None = None

    def __call__(self) -> None:
        """Advance the state by one step."""
        if self._graph is not None:
            self._graph.replay()
            return
        before, self.state = self.state, self._function(self.state)
        if self._graphs is not None and _form(before) == _form(self.state):
            self._capture(self._graphs, before)
        self._graphs = None  # a second attempt would fail, too

    def _capture(self, graphs: Graphs, before: State) -> None:
        """Copy each changed tensor to new memory, and capture a step on the state."""
        pairs = zip(_tensors(before), _tensors(self.state), strict=True)
        owned = iter([new if new is old else new.clone() for old, new in pairs])
        self.state = _with_tensors(self.state, lambda _: next(owned))
        self._graph = graphs.capture(self._step_in_place)

    def _step_in_place(self) -> None:
        old, new = _tensors(self.state), _tensors(self._function(self.state))
        memory = {tensor.untyped_storage().data_ptr() for tensor in old}
        changed = [(to, of) for to, of in zip(old, new, strict=True) if of is not to]
        # A new tensor may be a view of an old tensor, which another copy could overwrite.
        sources = [
            of.clone() if of.untyped_storage().data_ptr() in memory else of for _, of in changed
        ]
        for (to, _), of in zip(changed, sources, strict=True):
            to.copy_(of)


class CudaGraphs:
    """Captures CUDA graphs that share a memory pool.

    The graphs run one after the other, and no graph needs values of another. The last graph is
    kept, because it keeps the pool for the next capture.
    """

    def __init__(self, device: torch.device, report: Callable[[str], None] | None = None) -> None:
        """Capture on a CUDA device; ``report`` gets a line if a capture fails."""
        self._device, self._report = device, report or _print_to_stderr
        self._last: torch.cuda.CUDAGraph | None = None
        self._pool: Any = None
        self._possible = True

    def capture(self, function: Callable[[], None]) -> Graph | None:
        """Capture a function; None: this capture or an earlier one failed."""
        if not self._possible:
            return None
        try:
            self._last = self._captured(function)
        except RuntimeError as error:
            self._possible = False
            reason = str(error).split("\n")[0]
            self._report(f"search without CUDA graphs, which is slower: {reason}")
            return None
        return cast("Graph", self._last)

    def forget(self) -> None:
        """Free the memory of the graphs; the next capture allocates new memory."""
        self._last = self._pool = None

    def _captured(self, function: Callable[[], None]) -> torch.cuda.CUDAGraph:
        stream, graph = _stream(self._device), torch.cuda.CUDAGraph()
        pool = self._pool = self._pool or torch.cuda.graph_pool_handle()
        torch.cuda.synchronize(self._device)
        free, total = torch.cuda.mem_get_info(self._device)
        if free < total // 8:  # during a capture, the allocator cannot free its cache
            torch.cuda.empty_cache()
        with undisturbed_capture(self._device, pool), torch.cuda.stream(stream):
            # Training may use the tensors of the generator later, so they must not be inference
            # tensors.
            with torch.inference_mode(False):
                # "thread_local": other threads may copy or save during the capture.
                graph.capture_begin(pool, capture_error_mode="thread_local")
            try:
                function()
            finally:
                graph.capture_end()
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return graph


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of all captures. Each stream has a cuBLAS workspace, so there is one."""
    return torch.cuda.Stream(device)


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def _tensors(state: Any) -> list[Tensor]:
    """Return the tensors of a state, in the order of its fields."""
    if isinstance(state, Tensor):
        return [state]
    if is_dataclass(state):
        state = tuple(getattr(state, field.name) for field in fields(state))
    parts = state if isinstance(state, tuple) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _form(state: Any) -> Any:
    """Replace each tensor of a state by shape, strides and dtype, which a graph fixes."""
    if isinstance(state, Tensor):
        return state.shape, state.stride(), state.dtype
    if is_dataclass(state):
        return type(state), [_form(getattr(state, field.name)) for field in fields(state)]
    return [_form(part) for part in state] if isinstance(state, tuple | list) else state


def _with_tensors(state: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to each tensor of a state."""
    if isinstance(state, Tensor):
        return function(state)
    if is_dataclass(state) and not isinstance(state, type):
        parts = {f.name: _with_tensors(getattr(state, f.name), function) for f in fields(state)}
        return replace(state, **parts)
    if isinstance(state, tuple):
        return tuple(_with_tensors(part, function) for part in state)
    return state
