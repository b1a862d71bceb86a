"""Copies batches to a GPU while it computes the previous update."""

import torch
from torch import Tensor

from nmt.data.batch import Batch


class DeviceCopies:
    """Copies batches to a device without making it wait.

    The host launches an update faster than a GPU computes it. A copy in the same stream would run
    after all operations that were launched before it. In a stream of its own it runs at once, so
    the data of the next update are there when its computation begins. On other devices, a copy is
    `Batch.to`.
    """

    def __init__(self, device: torch.device) -> None:
        """Copy to a device."""
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, batch: Batch) -> Batch:
        """Return a batch on the device; what is launched next on it waits for the copy."""
        if self._stream is None:
            return batch.to(self._device)
        with torch.cuda.stream(self._stream):
            copied = batch.to(self._device)
        reader = torch.cuda.current_stream(self._device)
        reader.wait_stream(self._stream)

        def kept_for_reader(tensor: Tensor) -> Tensor:
            if tensor.is_cuda:  # its memory belongs to the other stream, which would reuse it
                tensor.record_stream(reader)
            return tensor

        return copied.map(kept_for_reader)
