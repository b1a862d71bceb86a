"""Dropout of whole words and of whole layers. Legend: B batch, T length, E embedding size."""

import torch
from torch import Tensor, nn

from nmt.kernels.dropout import host_draw


class WordDropout(nn.Module):
    """Sets the embeddings of whole pieces to 0 (Gal & Ghahramani 2016, section 4.2).

    A piece is dropped at all of its positions in a sentence. Otherwise, the model could read it at
    another position. The other embeddings are scaled up, as in `Dropout`. Sennrich et al. 2016a
    (section 2.3) found that 0.1 helps if there is little text.
    """

    def __init__(self, probability: float) -> None:
        """Drop each distinct piece of a sentence with this probability in training."""
        super().__init__()
        self.probability = probability

    def forward(self, embedded: Tensor, ids: Tensor) -> Tensor:
        """Drop pieces of sentences [B, T] from their embeddings [B, T, E]."""
        if not self.training or not self.probability:
            return embedded
        noise = torch.rand(ids.shape, device=ids.device)
        same = ids[:, :, None] == ids[:, None, :]
        first = same.int().argmax(dim=2)  # the first position of each piece
        kept = noise.gather(1, first) >= self.probability
        scale = 1 / (1 - self.probability)
        return embedded * (kept.type_as(embedded) * scale)[:, :, None]

    def extra_repr(self) -> str:
        """Show the probability."""
        return str(self.probability)


class LayerDrop(nn.Module):
    """Decides which layers of a stack training skips (Fan et al. 2020, section 3.2).

    A skipped layer leaves the residual stream unchanged. The other layers are not scaled.
    Translation uses all layers.
    """

    def __init__(self, probability: float) -> None:
        """Skip each layer with this probability in training."""
        super().__init__()
        self.probability = probability

    def forward(self) -> bool:
        """Return whether to skip the next layer. The draw does not wait for a device."""
        if not self.training or not self.probability:
            return False
        return host_draw() < self.probability

    def extra_repr(self) -> str:
        """Show the probability."""
        return str(self.probability)
