"""A step that runs again and again on tensors of fixed shapes, as a CUDA graph where possible.

A graph runs the kernels of a step without the host's work: it reads the state from the same memory
each time, so the new state is copied over the old one at the end of the step.
"""

import gc
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor

State = TypeVar("State")


class Graph(Protocol):
    """Operations that were captured once."""

    def replay(self) -> None:
        """Run them again, on the same memory."""


class Graphs(Protocol):
    """Captures graphs."""

    def capture(self, function: Callable[[], None]) -> Graph | None:
        """Capture the operations of a function without running them; None: it cannot be done."""


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

    The graphs run one after the other, and nothing that is needed later is in that memory. The last
    graph is kept, and the memory with it, so that the next search uses the same
    memory.
    """

    def __init__(self, report: Callable[[str], None] | None = None) -> None:
        """Capture on the current device; ``report`` gets a line if that is impossible."""
        self._report = report or _print_to_stderr
        self._last: torch.cuda.CUDAGraph | None = None
        self._stream: torch.cuda.Stream | None = None
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

    def _captured(self, function: Callable[[], None]) -> torch.cuda.CUDAGraph:
        if self._stream is None:
            self._stream = torch.cuda.Stream()
        graph = torch.cuda.CUDAGraph()
        pool = None if self._last is None else self._last.pool()
        torch.cuda.synchronize()
        collects = gc.isenabled()
        gc.disable()  # freeing an object of CUDA is not allowed during a capture
        try:
            with torch.cuda.stream(self._stream):
                # Only this thread's calls are restricted: others may copy or save meanwhile.
                graph.capture_begin(pool, capture_error_mode="thread_local")
                try:
                    function()
                finally:
                    graph.capture_end()
        finally:
            if collects:
                gc.enable()
        torch.cuda.current_stream().wait_stream(self._stream)
        return graph


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
