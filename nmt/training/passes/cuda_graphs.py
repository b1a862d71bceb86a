"""CUDA graphs: captures the operations of a pass and launches them together."""

import gc

import torch

from nmt.kernels.graph_capture import undisturbed_capture
from nmt.training.passes.captured_passes import PassLosses, Recorded


class CudaGraphs:
    """The graphs of one device; they share a pool of memory, because only one runs at a time.

    Warm-up and capture run on a separate stream. Autograd accumulates a gradient on the stream on
    which its node was created, and a capture must not use the default stream.
    """

    def __init__(self, device: torch.device) -> None:
        """Prepare to capture on a CUDA device."""
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._captured = 0

    def warm_up(self, run: Recorded) -> PassLosses:
        """Run a function on the capture stream, after the queued work of the current stream."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                return run()
        finally:  # also if memory runs out: the stream may still read memory that is freed next
            current.wait_stream(self._stream)

    def capture(self, run: Recorded) -> Recorded:
        """Record a function; see `GraphBackend.capture`."""
        graph = torch.cuda.CUDAGraph()
        # Autograd nodes that the garbage collector has not freed yet belong to the default stream.
        gc.collect(1 if self._captured else 2)
        # A failed capture raises before it restores the stream, so the outer block restores it.
        # Other threads, such as one that writes a checkpoint, may use the device meanwhile.
        with (
            undisturbed_capture(self._device, self._pool),
            torch.cuda.stream(self._stream),
            torch.cuda.graph(
                graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
            ),
        ):
            losses = run()
        self._captured += 1

        def replay() -> PassLosses:
            graph.replay()
            return losses

        return replay
