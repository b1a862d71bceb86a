"""Additive attention. Legend: B batch, T target length, S source length, A size of the tanh."""

from torch import Tensor, nn

from nmt.kernels.repeated_linear import Project, plain_project
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.window import Window
from nmt.model.layers import Linear


class AdditiveAttention(Attention):
    """score(query, state) = v · tanh(W query + U state).

    Bahdanau et al. 2015, appendix A.1.2, with the decoder's previous state as query; also the
    ``concat`` score of Luong et al. 2015, section 3.1, whose W [h_t; h_s] is the same sum. Coverage
    is a third term of the sum (Tu et al. 2016, section 3; See et al. 2017, eq. 11). The sum has a
    bias, as in See et al. 2017, eq. 1.
    """

    def __init__(
        self, query_size: int, memory_size: int, size: int, window: Window | None = None
    ) -> None:
        """Score queries of ``query_size`` against states of ``memory_size`` with ``size`` units."""
        super().__init__(window)
        self.query_projection = nn.Linear(query_size, size, bias=False)
        self.key_projection = Linear(memory_size, size)
        self.score_vector = nn.Linear(size, 1, bias=False)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project the keys U h_j once; the values are the states themselves."""
        return AttentionMemory(self.key_projection(states), states, mask[:, None, :])

    def scores(
        self,
        query: Tensor,
        keys: Tensor,
        coverage: Tensor | None = None,
        project: Project = plain_project,
    ) -> Tensor:
        """Return v · tanh(W query + keys + coverage), [B, T, S]."""
        keys = keys if coverage is None else keys + coverage
        queries = project(self.query_projection, query)
        hidden = queries[:, :, None, :] + keys[:, None, :, :]  # [B, T, S, A]
        scores: Tensor = self.score_vector(hidden.tanh())
        return scores.squeeze(-1)
