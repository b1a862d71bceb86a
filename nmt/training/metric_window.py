"""What the training curves show: means over the updates between two points."""

import time
from collections.abc import Mapping

from torch import Tensor


class MetricWindow:
    """Means over the updates since the curves were last logged."""

    def __init__(self) -> None:
        """Begin now."""
        self._started = time.monotonic()
        self._losses, self._norms = 0.0, 0.0
        self._updates, self._tokens = 0, 0
        self._extra: dict[str, Tensor] = {}
        self._pending: dict[str, Tensor] = {}
        self.rate = 0.0

    def forget(self) -> None:
        """Drop the extra losses of an update that is not made, or is begun again."""
        self._pending = {}

    def add(self, loss: float, tokens: int, norm: float, rate: float) -> None:
        """Count an update: its mean loss, target pieces, gradient norm and learning rate."""
        self._losses += loss * tokens
        self._tokens += tokens
        self._norms += norm
        self._updates += 1
        self.rate = rate
        for name, cost in self._pending.items():
            self._extra[name] = self._extra[name] + cost if name in self._extra else cost
        self._pending = {}

    def add_extra(self, costs: Mapping[str, Tensor]) -> None:
        """Count the extra losses of a pass, sums by name, of the update under way."""
        for name, cost in costs.items():  # summed on the device, so that nothing waits for it
            before = self._pending.get(name)
            self._pending[name] = cost if before is None else before + cost

    def extra(self) -> dict[str, float]:
        """Extra losses by name, a target piece."""
        return {name: cost.item() / max(1, self._tokens) for name, cost in self._extra.items()}

    @property
    def loss(self) -> float:
        """Nats a target piece."""
        return self._losses / max(1, self._tokens)

    @property
    def norm(self) -> float:
        """Mean gradient norm of an update."""
        return self._norms / max(1, self._updates)

    @property
    def tokens_per_second(self) -> float:
        """Target pieces learned from in a second."""
        return self._tokens / max(1e-9, time.monotonic() - self._started)
