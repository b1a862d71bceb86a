"""The location score (Luong et al. 2015, section 3.1, eq. 8).

Legend: B batch, T target length, S source length, P positions that have a score.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.kernels.repeated_linear import Project, plain_project
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.window import Window


class LocationAttention(Attention):
    """a_t = softmax(W h_t): one score per source position, whichever piece is there.

    W has one row per position, P in all. As in the paper (section 3.1), a shorter sentence uses the
    first rows, and the pieces of a longer one beyond position P are ignored.
    """

    def __init__(self, query_size: int, num_positions: int, window: Window | None = None) -> None:
        """Score ``num_positions`` = P source positions from queries of ``query_size``."""
        super().__init__(window)
        self.position_scores = nn.Linear(query_size, num_positions, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """The states are values only, keys have size 0, and positions beyond P are masked."""
        known = torch.arange(mask.size(1), device=mask.device) < self.position_scores.out_features
        return AttentionMemory(states[:, :, :0], states, (mask & known)[:, None, :])

    def scores(
        self,
        query: Tensor,
        keys: Tensor,
        coverage: Tensor | None = None,
        project: Project = plain_project,
    ) -> Tensor:
        """Return W query, cut or padded to the length of the source, [B, T, S]."""
        assert coverage is None
        scores: Tensor = self.position_scores(query)
        return functional.pad(scores, (0, keys.size(1) - scores.size(-1)))
