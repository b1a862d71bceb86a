"""Local attention: a window of the source around a centre (Luong et al. 2015, section 3.2).

Legend: B batch, T target length, S source length, Q query size, D half of the window's width.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from nmt.kernels.precision import at_least_float32, without_autocast


class Window(nn.Module, ABC):
    """Source positions [p_t - D, p_t + D]; subclasses choose the centre p_t.

    Positions outside of the sentence are masked as padding is, so a window at an edge is smaller.
    """

    fades: bool  # whether weights are multiplied by a Gaussian around the centre (eq. 10)

    def __init__(self, size: int) -> None:
        """Extend ``size`` = D positions to each side."""
        super().__init__()
        self.size = size

    @abstractmethod
    def centres(self, query: Tensor, lengths: Tensor, position: int) -> Tensor:
        """Return p_t of queries [B, T, Q] from target ``position`` on, [B, T], counted from 0.

        ``lengths`` [B] count the source positions that may be attended to, EOS included; they
        are the first ones.
        """

    def offsets(self, query: Tensor, lengths: Tensor, source_length: int, position: int) -> Tensor:
        """Return s - p_t of all source positions s, [B, T, S]."""
        sources = torch.arange(source_length, device=query.device)
        return sources - self.centres(query, lengths, position)[:, :, None]


class MonotonicWindow(Window):
    """local-m: source and target advance together, p_t = t.

    A target longer than its source keeps attending to the end of the source: p_t is at most the
    last position, so no window is empty.
    """

    fades = False

    def centres(self, query: Tensor, lengths: Tensor, position: int) -> Tensor:
        """Return min(t, length - 1)."""
        steps = torch.arange(position, position + query.size(1), device=query.device)
        return torch.minimum(steps[None, :], lengths[:, None] - 1)


class PredictiveWindow(Window):
    """local-p: p_t = S · sigmoid(v · tanh(W h_t)) (eq. 9), with weights that fade (eq. 10).

    The softmax is computed within the window and then multiplied by the Gaussian, as published, so
    the weights of a step sum to less than 1. The centre gets its gradient through the Gaussian
    alone.
    """

    fades = True

    def __init__(self, size: int, query_size: int) -> None:
        """Predict the centre from queries of ``query_size``."""
        super().__init__(size)
        self.centre_projection = nn.Linear(query_size, query_size, bias=False)
        self.centre_vector = nn.Linear(query_size, 1, bias=False)

    def centres(self, query: Tensor, lengths: Tensor, position: int) -> Tensor:
        """Return S · sigmoid(v · tanh(W h_t)), which lies in (0, S)."""
        # In a long sentence the rounding of bfloat16 would move the centre by whole positions.
        with without_autocast(query):
            hidden = self.centre_projection(at_least_float32(query)).tanh()
            logits = self.centre_vector(hidden)
        return logits.squeeze(-1).sigmoid() * lengths[:, None]


def gaussian(offsets: Tensor, size: int) -> Tensor:
    """Return exp(-offset² / 2σ²) with σ = D / 2 (eq. 10)."""
    return torch.exp(-2.0 * (offsets / size) ** 2)
