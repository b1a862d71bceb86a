"""The dtype of matrix products, and the scale of the loss in float16."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from nmt import runtime
from nmt.kernels.tensor_lists import multiply_all_

_INITIAL_SCALE = 2.0**16
_GROWTH_INTERVAL = 2000  # updates without overflow before the scale is doubled


class MixedPrecision:
    """Computes products in one dtype; weights and optimizer state stay in float32.

    In float16, small gradients would underflow. So the loss is scaled up before the backward pass,
    and the gradient is scaled down after it. The scale is halved when a gradient is not finite, and
    doubled after 2,000 finite ones (Micikevicius et al. 2018, section 3.2). The decision depends on
    the gradient norm, which is equal in all processes, so they agree on the scale. The scale stays
    on the device, so the host does not wait for it. In other dtypes, nothing is scaled.

    Attributes:
        dtype: The dtype of matrix products.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
        """Prepare to compute a model's gradients on its device."""
        self._model, self.dtype, self._device = model, dtype, device
        self._scaled = dtype == torch.float16
        self._scale = torch.tensor(_INITIAL_SCALE if self._scaled else 1.0, device=device)
        self._finite_updates = torch.tensor(0, device=device)  # since the scale last changed

    def autocast(self) -> AbstractContextManager[object]:
        """Return the autocast context of a forward pass."""
        return runtime.autocast(self._device, self.dtype)

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the scaled loss, from which the backward pass starts."""
        return loss * self._scale if self._scaled else loss

    def clip(self, max_norm: float | None) -> Tensor:
        """Unscale the gradient, clip it, and return its norm before clipping.

        Args:
            max_norm: The largest norm; None disables clipping.
        """
        parameters = self._unscaled()
        norm = nn.utils.clip_grad_norm_(parameters, math.inf if max_norm is None else max_norm)
        return norm.to(self._device)  # torch returns a CPU scalar if there is no gradient

    def norm(self) -> Tensor:
        """Unscale the gradient and return its norm; see `nmt.training.optimizer.clip_divisor`."""
        gradients = [p.grad for p in self._unscaled() if p.grad is not None]
        return nn.utils.get_total_norm(gradients).to(self._device)

    def _unscaled(self) -> list[nn.Parameter]:
        parameters = list(self._model.parameters())
        if self._scaled:
            gradients = [p.grad for p in parameters if p.grad is not None]
            multiply_all_(gradients, 1 / self._scale)
        return parameters

    def update_scale(self, loss: Tensor, norm: Tensor) -> Tensor | None:
        """Adapt the scale to an update.

        If the loss is not finite, the scale stays, because no scale would help.

        Args:
            loss: The update's loss, a scalar.
            norm: Its gradient norm, a scalar.

        Returns:
            A bool scalar on the device: whether the gradient is not finite because of the scale,
            not because of the model. None if nothing is scaled.
        """
        if not self._scaled:
            return None
        finite = loss.isfinite() & norm.isfinite()
        overflow = loss.isfinite() & ~norm.isfinite()
        scale_too_large = overflow & (self._scale > 1)
        count = torch.where(overflow, 0, self._finite_updates + finite.long())
        grows = count >= _GROWTH_INTERVAL
        factor = torch.where(overflow, 0.5, torch.where(grows, 2.0, 1.0))
        self._scale.mul_(factor)  # in place: a captured pass reads the scale at this address
        self._finite_updates = torch.where(grows, 0, count)
        return scale_too_large

    def scalars(self) -> dict[str, float]:
        """Return the scale for the metric log, by name; empty where nothing is scaled."""
        return {"loss_scale": self._scale.item()} if self._scaled else {}

    def state_dict(self) -> dict[str, Any]:
        """Return the scale and its age; empty where nothing is scaled."""
        if not self._scaled:
            return {}
        return {"scale": self._scale.item(), "good": int(self._finite_updates.item())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a saved scale; a run in another dtype has none."""
        if state and self._scaled:
            self._scale.fill_(float(state["scale"]))
            self._finite_updates = torch.tensor(int(state["good"]), device=self._device)
