"""Multi-head attention of an RNN decoder. Legend: B batch, H heads, T, S lengths, K head size."""

from torch import Tensor

from nmt.kernels.repeated_linear import Project, plain_project
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.window import Window


class RecurrentMultiHeadAttention(Attention):
    """Multi-head attention as an RNN decoder's; its weights are [B, H, T, S]."""

    def __init__(
        self, query_size: int, memory_size: int, num_heads: int, window: Window | None = None
    ) -> None:
        """Attend from states of ``query_size`` in ``num_heads`` heads that share the window."""
        super().__init__(window)
        self.heads = MultiHeadAttention(query_size, memory_size, num_heads, dropout=0.0)

    def memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project keys and values, [B, H, S, K]."""
        return self.heads.memory(states, mask[:, None, None, :])

    def scores(
        self,
        query: Tensor,
        keys: Tensor,
        coverage: Tensor | None = None,
        project: Project = plain_project,
    ) -> Tensor:
        """Return each head's scaled products, [B, H, T, S]."""
        assert coverage is None
        return self.heads.scores(self.heads.queries(query), keys)

    def context(self, weights: Tensor, values: Tensor) -> Tensor:
        """Average each head's values and join them -> [B, T, query_size]."""
        return self.heads.context(weights, values)
