"""The mean of several checkpoints' weights (Vaswani et al. 2017, section 6.1)."""

from collections.abc import Mapping

import torch
from torch import Tensor


class WeightAverage:
    """The arithmetic mean of weights, taken in as they come, in float64."""

    def __init__(self) -> None:
        """Begin with none."""
        self.count = 0
        self._sums: dict[str, Tensor] = {}
        self._last: Mapping[str, Tensor] = {}

    def differs(self, weights: Mapping[str, Tensor]) -> str | None:
        """Say in what weights differ in shape from those taken in before; None: in nothing."""
        if not self.count:
            return None
        for name in {**self._last, **weights}:
            shapes = [list(w[name].shape) if name in w else None for w in (weights, self._last)]
            if shapes[0] != shapes[1]:
                return f"{name} is {shapes[0] or 'missing'}, there {shapes[1] or 'missing'}"
        return None

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Take in a model's weights, of the same names and shapes as those before."""
        for name, weight in weights.items():
            if weight.is_floating_point():
                before = self._sums.get(name)
                wide = weight.to("cpu", torch.float64)
                self._sums[name] = wide.clone() if before is None else before.add_(wide)
        self._last = weights
        self.count += 1

    def mean(self) -> dict[str, Tensor]:
        """Return the mean of at least one, in the weights' types; what is no number is the last."""
        return {
            name: (self._sums[name] / self.count).to(weight.dtype)
            if name in self._sums
            else weight.clone()
            for name, weight in self._last.items()
        }
