"""CUDA graphs: captures the operations of a pass and launches them together."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nmt.training.captured_passes import PassLosses, Recorded


class CudaGraphs:
    """The graphs of one device; they share one pool of memory, as only one runs at a time.

    Warm-up and capture run on a stream of their own. Autograd accumulates a gradient on the stream
    on which its node was made, and a capture must not touch the default stream.
    """

    def __init__(self, device: torch.device) -> None:
        """Prepare to capture on a CUDA device."""
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._captured = 0

    def warm_up(self, run: Recorded) -> PassLosses:
        """Run a function on the stream of the captures, between the work of the current one."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            losses = run()
        current.wait_stream(self._stream)
        return losses

    def capture(self, run: Recorded) -> Recorded:
        """Record a function; see `GraphBackend.capture`."""
        graph, random = torch.cuda.CUDAGraph(), torch.cuda.get_rng_state(self._device)
        # Nodes of autograd that wait for the garbage collector belong to the default stream.
        gc.collect(1 if self._captured else 2)
        # The end of a failed capture raises before it restores the stream; the outer block does.
        # Other threads, such as one that writes a checkpoint, may use the device meanwhile.
        try:
            with (
                torch.cuda.stream(self._stream),
                _without_garbage_collection(),
                torch.cuda.graph(
                    graph,
                    pool=self._pool,
                    stream=self._stream,
                    capture_error_mode="thread_local",
                ),
            ):
                losses = run()
        except BaseException:
            self._renew_generator(random)
            raise
        self._captured += 1
        torch.cuda.set_rng_state(random, self._device)

        def replay() -> PassLosses:
            graph.replay()
            return losses

        return replay

    def _renew_generator(self, state: torch.Tensor) -> None:
        """Give the default generator a new state; a failed capture leaves it in capture mode."""
        index = self._stream.device.index
        fresh = torch.Generator(torch.device("cuda", index))
        fresh.set_state(state)
        torch.cuda.default_generators[index].graphsafe_set_state(fresh)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keep the collector from freeing memory of the device amid a capture."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
