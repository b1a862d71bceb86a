"""The points of the training curves: means over the updates since the last log point."""

import time
from collections.abc import Mapping

from torch import Tensor


class MetricWindow:
    """Means over the updates since the metrics were last logged.

    Attributes:
        learning_rate: The learning rate of the latest update.
    """

    def __init__(self) -> None:
        """Start an empty window now."""
        self._started = time.monotonic()
        self._loss_sum, self._norm_sum = 0.0, 0.0
        self._updates, self._tokens = 0, 0
        self._extra: dict[str, Tensor] = {}
        self.learning_rate = 0.0

    def add(
        self,
        loss: float,
        tokens: int,
        gradient_norm: float,
        learning_rate: float,
        extra_losses: Mapping[str, Tensor],
    ) -> None:
        """Count an applied update.

        Args:
            loss: Mean loss in nats per target token.
            tokens: Target tokens of all processes.
            gradient_norm: Norm of the gradient before clipping.
            learning_rate: The learning rate of the update.
            extra_losses: Sums over the update by name, scalars; they stay on the device.
        """
        self._loss_sum += loss * tokens
        self._tokens += tokens
        self._norm_sum += gradient_norm
        self._updates += 1
        self.learning_rate = learning_rate
        for name, extra in extra_losses.items():
            self._extra[name] = self._extra[name] + extra if name in self._extra else extra

    def extra_losses(self) -> dict[str, float]:
        """Return the extra losses per target token, by name; reads them from the device."""
        return {name: total.item() / max(1, self._tokens) for name, total in self._extra.items()}

    @property
    def loss(self) -> float:
        """Mean loss in nats per target token."""
        return self._loss_sum / max(1, self._tokens)

    @property
    def gradient_norm(self) -> float:
        """Mean gradient norm of an update."""
        return self._norm_sum / max(1, self._updates)

    @property
    def tokens_per_second(self) -> float:
        """Target tokens per second, over all processes."""
        return self._tokens / max(1e-9, time.monotonic() - self._started)
