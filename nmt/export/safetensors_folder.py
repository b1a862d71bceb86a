"""Writes a model of any kind as safetensors, which other programs can read.

The names of the tensors are those of `nmt.model`. ``nmt.json`` has the configuration from which
`nmt` builds the model again.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from nmt.checkpoint import Checkpoint
from nmt.export.extras import required

WEIGHTS = "model.safetensors"


def save_safetensors(checkpoint: Checkpoint, folder: Path, dtype: torch.dtype) -> None:
    """Write the weights to ``model.safetensors``; a matrix with several names is written once.

    The header of the file maps each omitted name to the name that is written.

    Args:
        checkpoint: The model.
        folder: An existing folder.
        dtype: Type of the weights in the file.

    Raises:
        UserError: safetensors is not installed.
    """
    library = required("safetensors.torch", "safetensors")
    checkpoint.check_weights()
    kept, shared = _without_repetition(checkpoint.trained_model().state_dict())
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in kept.items()}
    library.save_file(tensors, str(folder / WEIGHTS), metadata={"format": "pt", **shared})


def _without_repetition(
    weights: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the weights without repetitions, and a map from omitted names to written names.

    A weight is repeated if it shares memory with an earlier weight.
    """
    first: dict[int, str] = {}
    kept, shared = {}, {}
    for name, tensor in weights.items():
        earlier = first.setdefault(tensor.data_ptr(), name)
        if earlier == name:
            kept[name] = tensor
        else:
            shared[name] = earlier
    return kept, shared
