"""Attention of an RNN decoder to a source text and to the regions of its picture.

Legend: B batch, T queries, S source length, R regions, Q query size, D size of a value.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.core import Attention
from nmt.model.attention.double_memory import DoubleMemory, joined_weights, text_and_regions
from nmt.model.attention.memory import AttentionMemory, AttentionOutput
from nmt.model.layers import RepeatedLinear


class Gate(nn.Module):
    """beta = sigmoid(w · query + b), the factor of the regions' context in this step.

    Xu et al. 2015, section 4.2.1; the gating scalar of Calixto et al. 2017, section 3.
    """

    def __init__(self, query_size: int) -> None:
        """Learn w and b for queries of ``query_size`` = Q."""
        super().__init__()
        self.score = RepeatedLinear(query_size, 1)

    def forward(self, query: Tensor) -> Tensor:
        """Return the gate [B, T, 1] of queries [B, T, Q]."""
        score: Tensor = self.score(query)
        return score.sigmoid()


class DoublyAttention(Attention):
    """The attentions of the doubly attentive decoder (Calixto et al. 2017, section 3).

    The decoder's state s attends to the encoder states h and, independently, to the regions a_l:

        c = attention(s, h)                                      of any kind
        e_l = v · tanh(U s + W a_l)        alpha = softmax(e)
        i = beta · (sum over l of alpha_l a_l)                   beta: see `Gate`

    The context is [c; i]. It replaces c in the update of the state and in the read-out. The weights
    [..., S + R] are the weights of the text, then alpha without beta. Alpha sums to 1.
    """

    def __init__(self, text: Attention, query_size: int, region_size: int) -> None:
        """Attend with ``text`` to the text, and with an additive score to the regions."""
        super().__init__(None)
        self.text = text
        self.regions = AdditiveAttention(query_size, region_size, query_size)
        self.text.dropout = self.regions.dropout = self.dropout  # the decoder sets its probability
        self.gate = Gate(query_size)

    def build_memory(self, states: Tensor, mask: Tensor) -> AttentionMemory:
        """Project the states of the text; `build_double_memory` also projects the regions."""
        return self.text.build_memory(states, mask)

    def build_double_memory(
        self, states: tuple[Tensor, Tensor], regions: tuple[Tensor, Tensor]
    ) -> DoubleMemory:
        """Project the states of text [B, S, M] and regions [B, R, D], each with a mask."""
        memories = self.text.build_memory(*states), self.regions.build_memory(*regions)
        text, second = (replace(one, mask=AttentionMask.of(one.mask)) for one in memories)
        return DoubleMemory.join(text, second)

    def scores(self, query: Tensor, keys: Tensor, coverage: Tensor | None = None) -> Tensor:
        """Return the scores of the text."""
        return self.text.scores(query, keys, coverage)

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        positions: Tensor | None = None,
        coverage: Tensor | None = None,
    ) -> AttentionOutput:
        """Attend to text and regions from queries [B, T, Q]; see `Attention.forward`."""
        of_text, of_regions = text_and_regions(memory)
        text = self.text(query, of_text, positions, coverage)
        regions = self.regions(query, of_regions, positions)
        image = self.gate(query) * regions.context
        context = torch.cat([text.context, image.type_as(text.context)], dim=-1)
        return AttentionOutput(context, joined_weights(text.weights, regions.weights))
