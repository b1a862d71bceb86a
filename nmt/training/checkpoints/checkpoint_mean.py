"""The arithmetic mean of several checkpoints' weights (Vaswani et al. 2017, section 6.1).

For the exponential moving average during a training, see `nmt.training.weight_ema`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


class CheckpointMean:
    """Accumulates the mean of weights in float64, one checkpoint at a time.

    Attributes:
        count: Number of checkpoints so far.
    """

    def __init__(self) -> None:
        """Start without checkpoints."""
        self.count = 0
        self._sums: dict[str, Tensor] = {}
        self._last: Mapping[str, Tensor] = {}

    def differs(self, weights: Mapping[str, Tensor]) -> str | None:
        """Describe a weight whose shape differs from earlier checkpoints; None: all agree."""
        if not self.count:
            return None
        for name in {**self._last, **weights}:
            shapes = [list(w[name].shape) if name in w else None for w in (weights, self._last)]
            if shapes[0] != shapes[1]:
                return f"{name} is {shapes[0] or 'missing'} here and {shapes[1] or 'missing'} there"
        return None

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Add a model's weights, with the same names and shapes as the earlier ones."""
        for name, weight in weights.items():
            if weight.is_floating_point():
                total = self._sums.get(name)
                wide = weight.to("cpu", torch.float64)
                self._sums[name] = wide.clone() if total is None else total.add_(wide)
        self._last = weights
        self.count += 1

    def mean(self) -> dict[str, Tensor]:
        """Return the mean of at least one checkpoint, in the dtypes of its weights.

        Tensors of other dtypes than floating point are copied from the last checkpoint.
        """
        return {
            name: (self._sums[name] / self.count).to(weight.dtype)
            if name in self._sums
            else weight.clone()
            for name, weight in self._last.items()
        }
