"""Settings of the depth of a Transformer's stack: all layers, or a learned number per token."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.setting import setting


class Depth(StrEnum):
    """How many layers of a stack each token passes."""

    FULL = "full"
    ADAPTIVE = "adaptive"


@dataclass(kw_only=True)
class DepthConfig:
    """The depth of a stack; the formulas are in ``nmt/model/adaptive_depth.py``."""

    depth: str = setting(
        Depth.FULL,
        "Layers that a token passes: all of num_layers (full), or a learned number, after which "
        "the token halts (adaptive; Dehghani et al. 2019).",
        choices=Depth,
        neutral=Depth.FULL,
    )
    depth_loss: float = setting(
        0.01,
        "Weight of the number of layers per token in the loss of depth=adaptive.",
        at_least=0,
        neutral=0.01,
    )


def check_depth(side: str, part: DepthConfig) -> Iterator[str]:
    """Yield a message for each setting of a stack that adaptive depth excludes.

    Args:
        side: ``encoder`` or ``decoder``.
        part: Settings of the stack.
    """
    if part.depth != Depth.ADAPTIVE:
        return
    layers, layer_drop = getattr(part, "num_layers", 2), getattr(part, "layer_drop", 0.0)
    if layers == 1:
        yield (
            f"model.{side}.depth=adaptive with model.{side}.num_layers=1 has nothing to choose: "
            "set more layers, or depth=full"
        )
    if layer_drop:
        yield (
            f"model.{side}.depth=adaptive decides which tokens skip layers: set "
            f"model.{side}.layer_drop=0, or depth=full"
        )


def unread_depth_loss(side: str, part: DepthConfig) -> Iterator[str]:
    """Yield a message if ``depth_loss`` is changed in a stack that does not read it.

    Args:
        side: ``encoder`` or ``decoder``.
        part: Settings of the stack.
    """
    if part.depth != Depth.ADAPTIVE and part.depth_loss != DepthConfig().depth_loss:
        yield (
            f"model.{side}.depth_loss={part.depth_loss:g} has no effect with model.{side}.depth="
            f"{part.depth}: remove it, or choose {Depth.ADAPTIVE}"
        )
