"""The optimizer, and the moving average of what it moves."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nmt.config.schema import (
    AdadeltaConfig,
    AdamConfig,
    AdamWConfig,
    OptimizerConfig,
    SgdConfig,
)
from nmt.kernels import dispatch


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return what the settings name, fused where torch has it; vectors are spared weight decay."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    rate = config.learning_rate
    match config:
        case AdamConfig(beta1=beta1, beta2=beta2, epsilon=epsilon):
            kind = torch.optim.AdamW if isinstance(config, AdamWConfig) else torch.optim.Adam
            return kind(groups, lr=rate, betas=(beta1, beta2), eps=epsilon, fused=fused)
        case SgdConfig(momentum=momentum):
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, fused=fused)
        case AdadeltaConfig(rho=rho, epsilon=epsilon):
            return torch.optim.Adadelta(groups, lr=rate, rho=rho, eps=epsilon, foreach=True)
    raise AssertionError(f"no optimizer for {config}")


class MovingAverage:
    """Exponential moving average of a model's weights (Polyak & Juditsky 1992).

    The decay grows from 0 as (1 + update) / (10 + update), so that early averages are not dragged
    down by the first, random weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model's weights now."""
        self.decay = decay
        self._parameters: list[Tensor] = list(model.parameters())
        self.average = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self, update: int) -> None:
        """Move the average toward the weights after an update."""
        decay = min(self.decay, (1 + update) / (10 + update))
        dispatch.lerp_all_(self.average, self._parameters, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the model's weights and their average; twice is as before."""
        for parameter, average in zip(self._parameters, self.average, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)

    def load(self, average: Iterable[Tensor]) -> None:
        """Take over a saved average."""
        for mine, saved in zip(self.average, average, strict=True):
            mine.copy_(saved)
