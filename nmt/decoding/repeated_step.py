"""A step that runs repeatedly on tensors of fixed shapes, as a CUDA graph if possible.

A graph runs the kernels of a step without work of the host. It always reads the state from the same
memory, so each step ends with a copy of the new state over the old state.
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
    """Operations that were captured once."""

    def replay(self) -> None:
        """Run them again, on the same memory."""


class Graphs(Protocol):
    """Captures graphs."""

    def capture(self, function: Callable[[], None]) -> Graph | None:
        """Capture the operations of a function without running them; None: this is impossible."""


class RepeatedStep(Generic[State]):
    """A function from state to state, applied repeatedly.

    The first call runs the function as it is. It also prepares the device's libraries for the
    capture that follows. The later calls replay the graph. A state whose shapes or numbers change
    is never captured.

    Attributes:
        state: The newest state.
    """

    def __init__(
        self, function: Callable[[State], State], state: State, graphs: Graphs | None
    ) -> None:
        """Begin at a state, a dataclass of tensors as `nmt.model.interfaces.DecoderState` is."""
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
        self._graphs = None  # a second attempt would fail as the first did

    def _capture(self, graphs: Graphs, before: State) -> None:
        """Give each tensor that changes memory of its own, and capture a step on the state."""
        pairs = zip(_tensors(before), _tensors(self.state), strict=True)
        owned = iter([new if new is old else new.clone() for old, new in pairs])
        self.state = _with_tensors(self.state, lambda _: next(owned))
        self._graph = graphs.capture(self._step_in_place)

    def _step_in_place(self) -> None:
        old, new = _tensors(self.state), _tensors(self._function(self.state))
        memory = {tensor.untyped_storage().data_ptr() for tensor in old}
        changed = [(to, of) for to, of in zip(old, new, strict=True) if of is not to]
        # A new tensor may be a view of an old one, which another copy could overwrite.
        sources = [
            of.clone() if of.untyped_storage().data_ptr() in memory else of for _, of in changed
        ]
        for (to, _), of in zip(changed, sources, strict=True):
            to.copy_(of)


class CudaGraphs:
    """Captures CUDA graphs that share their memory.

    The graphs run one after the other, and none needs the memory contents of another one. The last
    graph is kept to keep the memory, so that the next search uses it again.
    """

    def __init__(self, device: torch.device, report: Callable[[str], None] | None = None) -> None:
        """Capture on a CUDA device; ``report`` gets a line if that is impossible."""
        self._device, self._report = device, report or _print_to_stderr
        self._last: torch.cuda.CUDAGraph | None = None
        self._pool: Any = None
        self._possible = True

    def capture(self, function: Callable[[], None]) -> Graph | None:
        """Capture a function; after a failure, functions are no longer captured."""
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
        if free < total // 8:  # during a capture, the allocator cannot give back what it caches
            torch.cuda.empty_cache()
        with undisturbed_capture(self._device, pool), torch.cuda.stream(stream):
            # The generator's tensors must not be inference tensors: training captures them later.
            with torch.inference_mode(False):
                # Only the calls of this thread are restricted: other threads may copy or save
                # meanwhile.
                graph.capture_begin(pool, capture_error_mode="thread_local")
            try:
                function()
            finally:
                graph.capture_end()
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return graph


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of all captures of a search; each stream keeps a workspace of cuBLAS."""
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
    """Return what a graph fixes: the state with each tensor's shape and dtype in its place."""
    if isinstance(state, Tensor):
        return state.shape, state.stride(), state.dtype
    if is_dataclass(state):
        return type(state), [_form(getattr(state, field.name)) for field in fields(state)]
    return [_form(part) for part in state] if isinstance(state, tuple | list) else state


def _with_tensors(state: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Return the state with each tensor replaced by the function's result."""
    if isinstance(state, Tensor):
        return function(state)
    if is_dataclass(state) and not isinstance(state, type):
        parts = {f.name: _with_tensors(getattr(state, f.name), function) for f in fields(state)}
        return replace(state, **parts)
    if isinstance(state, tuple):
        return tuple(_with_tensors(part, function) for part in state)
    return state
