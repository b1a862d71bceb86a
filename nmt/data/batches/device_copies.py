"""Copies batches to a GPU while the GPU computes the previous update."""

import torch
from torch import Tensor

from nmt.data.batches.batch import Batch


class DeviceCopies:
    """Copies batches to a device; a GPU computes during the copy.

    The host launches an update faster than a GPU computes it. In the same CUDA stream, a copy would
    run after all operations that were launched before it. In a stream of its own it runs at once,
    so the next batch is on the GPU when its computation begins. On other devices, `Batch.to`
    copies.
    """

    def __init__(self, device: torch.device) -> None:
        """Copy to a device."""
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self, batch: Batch) -> Batch:
        """Return a batch on the device; operations launched after this call wait for the copy."""
        if self._stream is None:
            return batch.to(self._device)
        with torch.cuda.stream(self._stream):
            copied = batch.to(self._device)
        reader = torch.cuda.current_stream(self._device)
        reader.wait_stream(self._stream)

        def kept_for_reader(tensor: Tensor) -> Tensor:
            if tensor.is_cuda:  # the copying stream must not reuse its memory earlier
                tensor.record_stream(reader)
            return tensor

        return copied.map(kept_for_reader)
