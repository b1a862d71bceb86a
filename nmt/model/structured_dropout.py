"""Dropout of whole words and of whole layers. Legend: B batch, T length, E embedding size."""

import torch
from torch import Tensor, nn


class WordDropout(nn.Module):
    """Zeroes the embeddings of whole pieces (Gal & Ghahramani 2016, section 4.2).

    A piece that is dropped is so at all its places in a sentence: to drop single places would leave
    the model the word at the others. The survivors are scaled up, as in `Dropout`; Sennrich et al.
    2016a (section 2.3) found 0.1 to help where text is scarce.
    """

    def __init__(self, probability: float) -> None:
        """Drop each kind of piece in a sentence with this probability, while training."""
        super().__init__()
        self.probability = probability

    def forward(self, embedded: Tensor, ids: Tensor) -> Tensor:
        """Drop pieces of sentences [B, T] from their embeddings [B, T, E]."""
        if not self.training or not self.probability:
            return embedded
        noise = torch.rand(ids.shape, device=ids.device)
        first = (ids[:, :, None] == ids[:, None, :]).int().argmax(dim=2)  # place of the first such
        kept = noise.gather(1, first) >= self.probability
        scale = 1 / (1 - self.probability)
        return embedded * (kept.to(embedded.dtype) * scale)[:, :, None]

    def extra_repr(self) -> str:
        """Show the probability."""
        return str(self.probability)


class LayerDrop(nn.Module):
    """Decides which layers of a stack are left out (Fan et al. 2020, section 3.2).

    Each update leaves a layer out with this probability, and its residual stream goes by; nothing
    is scaled. Translation uses them all, or a part of them that is kept for good.
    """

    def __init__(self, probability: float) -> None:
        """Leave out each layer with this probability, while training."""
        super().__init__()
        self.probability = probability

    def forward(self) -> bool:
        """Return whether to leave out the layer that is next; drawn on the CPU, nothing waits."""
        if not self.training or not self.probability:
            return False
        return torch.rand(()).item() < self.probability

    def extra_repr(self) -> str:
        """Show the probability."""
        return str(self.probability)
