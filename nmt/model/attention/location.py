"""The ``location`` score of Luong et al. 2015, section 3.1.

Legend: B batch, T target length, S source length, P positions with a score.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config.setting import setting
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.settings import BuiltAttention, LuongAttentionConfig, ScoreCost
from nmt.model.attention.window import Window


class LocationAttention(Attention):
    """a_t = softmax(W h_t) (eq. 8): one score per source position, independent of the source.

    W has P rows, one per position. As in the paper (section 3.1), a shorter sentence uses the first
    rows. In a longer sentence, the pieces after position P get no weight.
    """

    def __init__(self, query_size: int, num_positions: int, window: Window | None = None) -> None:
        """Score ``num_positions`` = P source positions from queries of ``query_size``."""
        super().__init__(window)
        self.position_scores = nn.Linear(query_size, num_positions, bias=False)

    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Return the states as values, keys [B, S, 0], and a mask of the first P positions.

        The scores do not use the source pieces. They need only the length S of the keys.
        """
        positions = torch.arange(mask.size(1), device=mask.device)
        has_score = positions < self.position_scores.out_features
        return AttentionMemory(states[:, :, :0], states, (mask & has_score)[:, None, :])

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return W query, truncated or padded to the source length, [B, T, S]."""
        assert coverage is None
        scores: Tensor = self.position_scores(query)  # [B, T, P]
        # Negative padding truncates. The mask excludes padded positions.
        return functional.pad(scores, (0, keys.size(1) - scores.size(-1)))


@dataclass(kw_only=True)
class LocationAttentionConfig(LuongAttentionConfig):
    """a_t = softmax(W h_t): the weights depend only on the decoder's state."""

    name: str = "luong_location"
    max_source_length: int = setting(
        128,
        "Source positions that have a score; later pieces are not attended to.",
        unit="pieces",
        at_least=1,
        at_most=1_000_000,
    )

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention, whose contexts are averages of encoder states."""
        window = self.build_window(query_size)
        attention = LocationAttention(query_size, self.max_source_length, window)
        return BuiltAttention(attention, memory_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the score's products."""
        return ScoreCost(per_target=query_size * self.max_source_length)
