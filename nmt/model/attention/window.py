"""Local attention: a window of source positions (Luong et al. 2015, section 3.2).

Legend: B batch, T target length, S source length, Q query size, D half the window's width.
"""

from abc import ABC, abstractmethod
from enum import StrEnum

import torch
from torch import Tensor, nn

from nmt.kernels.precision import at_least_float32, without_autocast


class WindowKind(StrEnum):
    """The source positions that are attended to."""

    GLOBAL = "global"
    LOCAL_M = "local_m"
    LOCAL_P = "local_p"


class Window(nn.Module, ABC):
    """Source positions [p_t - D, p_t + D]; subclasses choose the center p_t.

    Positions outside the sentence are masked, so a window at an end of the sentence is smaller.
    """

    has_gaussian: bool  # whether weights are multiplied by a Gaussian around the center (eq. 10)

    def __init__(self, size: int) -> None:
        """Reach D = ``size`` positions to each side."""
        super().__init__()
        self.size = size

    @abstractmethod
    def centres(self, query: Tensor, lengths: Tensor, positions: Tensor) -> Tensor:
        """Return p_t, broadcastable to [B, T], of queries [B, T, Q] at target ``positions``.

        Positions are [T], or [1] if all are the same, and start at 0. A query may attend to the
        first ``lengths`` [B] source positions, EOS included.
        """

    def offsets(
        self, query: Tensor, lengths: Tensor, source_length: int, positions: Tensor
    ) -> Tensor:
        """Return s - p_t of all source positions s, broadcastable to [B, T, S]."""
        sources = torch.arange(source_length, device=query.device)
        return sources - self.centres(query, lengths, positions)[:, :, None]


class MonotonicWindow(Window):
    """local-m: source and target advance at the same rate, p_t = t.

    p_t is at most the last source position. So no window is empty if the target is longer than the
    source.
    """

    has_gaussian = False

    def centres(self, query: Tensor, lengths: Tensor, positions: Tensor) -> Tensor:
        """Return min(t, length - 1)."""
        return torch.minimum(positions[None, :], lengths[:, None] - 1)


class PredictiveWindow(Window):
    """local-p: p_t = S · sigmoid(v · tanh(W h_t)) (eq. 9), weights times a Gaussian (eq. 10).

    As in the paper, the Gaussian multiplies the softmax within the window, so the weights of a step
    sum to less than 1. Only the Gaussian gives the center a gradient.
    """

    has_gaussian = True

    def __init__(self, size: int, query_size: int) -> None:
        """Predict the center from queries of ``query_size``."""
        super().__init__(size)
        self.centre_projection = nn.Linear(query_size, query_size, bias=False)
        self.centre_vector = nn.Linear(query_size, 1, bias=False)

    def centres(self, query: Tensor, lengths: Tensor, positions: Tensor) -> Tensor:
        """Return S · sigmoid(v · tanh(W h_t))."""
        # In bfloat16, the error of the center would be whole positions in a long sentence.
        with without_autocast(query):
            hidden = self.centre_projection(at_least_float32(query)).tanh()
            logits = self.centre_vector(hidden)
        return logits.squeeze(-1).sigmoid() * lengths[:, None]


def build_window(kind: WindowKind, size: int, query_size: int) -> Window | None:
    """Build a window that reaches ``size`` positions to each side; None: no window is needed."""
    match kind:
        case WindowKind.GLOBAL:
            return None
        case WindowKind.LOCAL_M:
            return MonotonicWindow(size)
        case WindowKind.LOCAL_P:
            return PredictiveWindow(size, query_size)
