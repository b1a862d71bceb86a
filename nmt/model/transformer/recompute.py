"""Gradient checkpointing: a layer saves only its inputs, and the backward pass runs it again."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute_layers(model: nn.Module, on: bool) -> None:
    """Turn gradient checkpointing (Chen et al. 2016) on or off in every stack of layers."""
    for module in model.modules():
        if hasattr(module, "recompute"):
            setattr(module, "recompute", on)  # noqa: B010  (nn.Module declares no such flag)


def recomputed(layer: Callable[..., Any], on: bool) -> Callable[..., Any]:
    """Return the layer, with gradient checkpointing if ``on``; both passes drop the same units."""
    if not on or not torch.is_grad_enabled():
        return layer
    return partial(checkpoint, layer, use_reentrant=False)
