"""The exponential moving average of the weights during training."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from nmt.kernels.tensor_lists import lerp_all_


class WeightEma:
    """Exponential moving average of a model's weights (Polyak & Juditsky 1992).

    The decay grows with the update as (1 + update) / (10 + update), up to its limit, so that the
    random initial weights do not dominate early averages.

    Attributes:
        decay: The largest decay.
        average: The averaged parameters, in the order of the model's parameters.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model's current weights."""
        self.decay = decay
        self._parameters: list[Tensor] = list(model.parameters())
        self.average = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self, update: int) -> None:
        """Move the average toward the weights after update number ``update``."""
        lerp_all_(self.average, self._parameters, self._weight(update))

    @torch.no_grad()
    def update_if(self, applied: Tensor, update: int) -> None:
        """Do the same if ``applied``, a bool scalar on the device, is True; else change nothing."""
        weight = applied.float() * self._weight(update)  # a weight of 0 changes no bit
        average, parameters = map(_local, self.average), map(_local, self._parameters)
        lerp_all_(average, parameters, weight)

    def _weight(self, update: int) -> float:
        return 1 - min(self.decay, (1 + update) / (10 + update))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's weights and their average; a second call restores both."""
        for parameter, average in zip(self._parameters, self.average, strict=True):
            weights = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(weights)

    def load(self, average: Iterable[Tensor]) -> None:
        """Load a saved average."""
        for own, saved in zip(self.average, average, strict=True):
            own.copy_(saved)


def _local(tensor: Tensor) -> Tensor:
    """Return this process's shard of a sharded tensor, or the tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
