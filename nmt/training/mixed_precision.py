"""How gradients are computed: the precision of products, and the scale of the loss."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from nmt import runtime
from nmt.kernels import dispatch

_FIRST_SCALE = 2.0**16
_PATIENCE = 2000  # updates without overflow before the scale is doubled


class MixedPrecision:
    """Computes in one precision; weights and optimizer stay in float32.

    In float16 small gradients would vanish, so the loss is scaled up before the backward pass and
    the gradient down behind it; the scale is halved where a gradient was not finite, and doubled
    when all went well for long (Micikevicius et al. 2018, section 3.2). What to do is told by the
    norm that all processes share, so they agree on the scale, and nothing waits for the device. In
    the other precisions nothing is scaled.
    """

    def __init__(self, model: nn.Module, precision: torch.dtype, device: torch.device) -> None:
        """Compute the gradients of a model on its device."""
        self._model, self._precision, self._device = model, precision, device
        self._scaled = precision == torch.float16
        self._scale, self._good = (_FIRST_SCALE if self._scaled else 1.0), 0

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        return runtime.autocast(self._device, self._precision)

    def scaled(self, loss: Tensor) -> Tensor:
        """Return what the backward pass begins with."""
        return loss * self._scale if self._scaled else loss

    def clip(self, largest: float | None) -> Tensor:
        """Scale the gradient down, shorten it to a norm, and return the norm that it had.

        Args:
            largest: The norm; None shortens nothing.
        """
        parameters = list(self._model.parameters())
        if self._scaled:
            gradients = [p.grad for p in parameters if p.grad is not None]
            dispatch.multiply_all_(gradients, 1 / self._scale)
        return nn.utils.clip_grad_norm_(parameters, math.inf if largest is None else largest)

    def went_well(self) -> None:
        """Note an update whose gradient was finite."""
        if self._scaled:
            self._good += 1
            if self._good >= _PATIENCE:
                self._scale, self._good = 2 * self._scale, 0

    def overflowed(self, loss: float) -> bool:
        """Note one whose gradient was not, and tell whether the scale is at fault, not the model.

        Args:
            loss: Of the update; where it is not finite itself, no scale helps.
        """
        if not self._scaled or not math.isfinite(loss):
            return False
        at_fault = self._scale > 1
        self._scale, self._good = self._scale / 2, 0
        return at_fault

    def scalars(self) -> dict[str, float]:
        """Return the scale where there is one, for the curves."""
        return {"loss_scale": self._scale} if self._scaled else {}

    def state_dict(self) -> dict[str, Any]:
        """Return the scale and its age; empty where nothing is scaled."""
        return {"scale": self._scale, "good": self._good} if self._scaled else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a saved scale; a run in another precision has none."""
        if state and self._scaled:
            self._scale, self._good = state["scale"], state["good"]
