"""Additive attention (Bahdanau et al. 2015).

Legend: B batch, T target length, S source length, A size of the tanh layer, h_s encoder state at
source position s.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from nmt.config.model import LARGEST_SIZE
from nmt.config.setting import setting
from nmt.kernels.attention.additive_scores import additive_scores
from nmt.model.attention.core import Attention
from nmt.model.attention.coverage import CoverageKind, build_coverage, coverage_setting
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.settings import BuiltAttention, ScoreCost, WindowedAttentionConfig
from nmt.model.attention.window import Window
from nmt.model.layers import Linear, RepeatedLinear


class AdditiveAttention(Attention):
    """score(query, h_s) = v · tanh(W query + U h_s + b).

    Bahdanau et al. 2015, appendix A.1.2; the query is the decoder's previous state. The ``concat``
    score of Luong et al. 2015, section 3.1, is the same: W' [h_t; h_s] equals W h_t + U h_s, where
    W and U are the halves of W'. See et al. 2017, eq. 1, has the bias b. Coverage adds a fourth
    term to the sum (Tu et al. 2016, section 3; See et al. 2017, eq. 11).
    """

    def __init__(
        self, query_size: int, memory_size: int, size: int, window: Window | None = None
    ) -> None:
        """Score pairs of a query of ``query_size`` and a state of ``memory_size``; A = ``size``."""
        super().__init__(window)
        self.query_projection = RepeatedLinear(query_size, size, bias=False)
        self.key_projection = Linear(memory_size, size)
        self.score_vector = nn.Linear(size, 1, bias=False)

    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Compute the keys U h_s + b once; the values are the states themselves."""
        return AttentionMemory(self.key_projection(states), states, mask[:, None, :])

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return v · tanh(W query + keys + coverage), [B, T, S]."""
        keys = keys[:, None] if coverage is None else keys[:, None] + coverage  # [B, 1 or T, S, A]
        return additive_scores(self.query_projection(query), keys, self.score_vector)


def additive_cost(
    query_size: int, memory_size: int, size: int, coverage: CoverageKind
) -> ScoreCost:
    """Return the multiply-adds of both projections, the score vector and the coverage."""
    fertility = memory_size if coverage == CoverageKind.FERTILITY else 0
    vectors = 1 if coverage == CoverageKind.NONE else 2  # of the score, and of the coverage
    return ScoreCost(memory_size * size + fertility, query_size * size, vectors * size)


@dataclass(kw_only=True)
class BahdanauAttentionConfig(WindowedAttentionConfig):
    """Additive attention before the state update (Bahdanau et al. 2015)."""

    name: str = "bahdanau"
    size: int = setting(
        256,
        "Size of the hidden layer that computes the scores.",
        unit="units",
        at_least=1,
        at_most=LARGEST_SIZE,
    )
    coverage: str = coverage_setting()
    maxout_size: int | None = setting(
        None,
        "Size of RNNsearch's maxout read-out; null: the read-out is a tanh layer.",
        unit="units",
        at_least=1,
        at_most=LARGEST_SIZE,
        before=None,
    )

    def build(self, query_size: int, memory_size: int) -> BuiltAttention:
        """Build the attention and its coverage."""
        window = self.build_window(query_size)
        attention = AdditiveAttention(query_size, memory_size, self.size, window)
        coverage = build_coverage(CoverageKind(self.coverage), memory_size, self.size)
        return BuiltAttention(attention, memory_size, coverage, self.maxout_size)

    def score_cost(self, query_size: int, memory_size: int) -> ScoreCost:
        """Return the multiply-adds of the score's products."""
        return additive_cost(query_size, memory_size, self.size, CoverageKind(self.coverage))
