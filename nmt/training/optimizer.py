"""The optimizer, and the moving average of what it moves."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nmt.config.schema import OptimizerConfig


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return Adam or AdamW in its fused form; vectors (biases, norms) are spared weight decay."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    return kind(
        groups,
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=fused,
    )


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
        torch._foreach_lerp_(self.average, self._parameters, 1 - decay)

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
