"""Writes a model to one file: a checkpoint without training state."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint import Checkpoint, save_checkpoint


def save_packed(checkpoint: Checkpoint, path: Path, dtype: str = "float32") -> None:
    """Write the weights, the settings and the tokenizers.

    Args:
        checkpoint: The model.
        path: The file.
        dtype: Type of the weights in the file. A model loaded from the file computes in float32.

    Raises:
        UserError: The weights do not fit the settings, or the file cannot be written.
    """
    checkpoint.check_weights()
    packed: dict[int, Tensor] = {}  # by address, so that tied matrices stay one tensor
    weights = {}
    for name, tensor in checkpoint.weights.items():
        address = tensor.data_ptr()
        packed.setdefault(address, tensor.to(getattr(torch, dtype)))
        weights[name] = packed[address]
    save_checkpoint(replace(checkpoint, weights=weights, training=None), path)
