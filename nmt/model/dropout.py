"""Dropout that is cheap on a CPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_BYTE = 256


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014).

    On a CPU torch draws one random number an element, which takes a fifth of a training step; here
    eight elements share one 64-bit draw, a byte each. The probability is therefore a multiple of
    1/256 there (0.1 becomes 26/256), and the survivors are scaled by exactly that.
    """

    def __init__(self, probability: float) -> None:
        """Zero each element with this probability, while training."""
        super().__init__()
        self.probability = probability
        self._threshold = round(probability * _BYTE)

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop elements of a tensor of any shape."""
        if not self.training or not self._threshold:
            return inputs
        if inputs.device.type != "cpu":
            return functional.dropout(inputs, self.probability)
        words = torch.empty((inputs.numel() + 7) // 8, dtype=torch.int64)
        words.random_(torch.iinfo(torch.int64).min, None)  # all 64 bits
        noise = words.view(torch.uint8)[: inputs.numel()].view(inputs.shape)
        kept = noise.ge_(self._threshold)  # 1 or 0, in bytes: torch converts bool ten times slower
        scale = _BYTE / (_BYTE - self._threshold)
        return inputs * kept.to(inputs.dtype).mul_(scale)

    def extra_repr(self) -> str:
        """Show the probability."""
        return str(self.probability)
