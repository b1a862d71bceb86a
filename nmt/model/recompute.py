"""Gradient checkpointing: a layer keeps its inputs alone, and is run again for the gradient."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute_layers(model: nn.Module, on: bool) -> None:
    """Let every part that has layers keep their inputs alone (Chen et al. 2016), or all again."""
    for module in model.modules():
        if hasattr(module, "recompute"):
            setattr(module, "recompute", on)  # noqa: B010  (of nn.Module types know no flags)


def recomputed(layer: Callable[..., Any], on: bool) -> Callable[..., Any]:
    """Return the layer as it is called in training; dropout is drawn anew as it was at first."""
    if not on or not torch.is_grad_enabled():
        return layer
    return partial(checkpoint, layer, use_reentrant=False)
