"""Attention of an RNN decoder to a text and to the regions beside it.

Legend: B batch, T queries, S source length, R regions, Q query size, D size of a value.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from nmt.kernels.attention_mask import AttentionMask
from nmt.kernels.repeated_linear import Project, plain_project
from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.core import Attention
from nmt.model.attention.double_memory import DoubleMemory, joined_weights
from nmt.model.attention.memory import AttentionMemory, AttentionOutput


class Gate(nn.Module):
    """beta = sigmoid(w · query + b), a scalar by which a decoder uses the regions in this step.

    Xu et al. 2015, section 4.2.1, and the gating scalar of Calixto et al. 2017, section 3.
    """

    def __init__(self, query_size: int) -> None:
        """Gate by queries of ``query_size`` = Q."""
        super().__init__()
        self.score = nn.Linear(query_size, 1)

    def forward(self, query: Tensor, project: Project = plain_project) -> Tensor:
        """Return the gate [B, T, 1] of queries [B, T, Q]."""
        return project(self.score, query).sigmoid()


class DoublyAttention(Attention):
    """The doubly attentive decoder's attentions (Calixto et al. 2017, section 3).

    With the decoder's state s, the source states h and the regions a_l, both attended to
    independently:

        c = attention(s, h)                                      of any kind
        e_l = v · tanh(U s + W a_l)        alpha = softmax(e)
        i = beta · (sum over l of alpha_l a_l)                   beta: see `Gate`

    The context is [c; i]: it enters the state's update and the read-out as c does alone. The state
    s is the one with which the decoder attends to the text. The weights [..., S + R] are those over
    the text, then alpha, without beta; each of the two parts sums to 1.
    """

    def __init__(self, text: Attention, query_size: int, region_size: int) -> None:
        """Attend by ``text`` to the text, and from ``query_size`` to states of ``region_size``."""
        super().__init__(None)
        self.text = text
        self.regions = AdditiveAttention(query_size, region_size, query_size)
        self.gate = Gate(query_size)

    def share_dropout(self) -> None:
        """Use the dropout of this attention in both."""
        self.text.dropout = self.regions.dropout = self.dropout

    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project encoder states; see `build_double_memory` for the regions."""
        return self.text.build_memory(states, mask)

    def build_double_memory(
        self, states: tuple[Tensor, Tensor], regions: tuple[Tensor, Tensor]
    ) -> DoubleMemory:
        """Project the states of text [B, S, M] and regions [B, R, D], each with its mask."""
        memories = self.text.build_memory(*states), self.regions.build_memory(*regions)
        text, second = (replace(one, mask=AttentionMask.of(one.mask)) for one in memories)
        return DoubleMemory.join(text, second)

    def scores(
        self,
        query: Tensor,
        keys: Tensor,
        coverage: Tensor | None = None,
        project: Project = plain_project,
    ) -> Tensor:
        """Return the scores over the text."""
        return self.text.scores(query, keys, coverage, project)

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        positions: Tensor | None = None,
        coverage: Tensor | None = None,
        project: Project = plain_project,
    ) -> AttentionOutput:
        """Attend to text and regions from queries [B, T, Q]; see `Attention.forward`."""
        assert isinstance(memory, DoubleMemory)
        assert memory.regions is not None
        text = self.text(query, memory.text, positions, coverage, project)
        regions = self.regions(query, memory.regions, positions, None, project)
        image = self.gate(query, project) * regions.context
        context = torch.cat([text.context, image.type_as(text.context)], dim=-1)
        return AttentionOutput(context, joined_weights(text.weights, regions.weights))
