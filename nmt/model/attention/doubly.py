"""Attention over two memories at once, a text and regions, in one memory for the decoders.

Legend: B batch, T queries, S source length, R regions, Q query size, D size of a value, H heads.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.kernels.attention_mask import AttentionMask
from nmt.kernels.repeated_linear import Project, plain_project
from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.core import Attention
from nmt.model.attention.memory import AttentionMemory, AttentionOutput


@dataclass(frozen=True)
class DoubleMemory(AttentionMemory):
    """Keys and values of a text, with those of the regions beside it.

    Attributes:
        regions: Of the R regions.
    """

    regions: AttentionMemory | None = None

    @classmethod
    def join(cls, text: AttentionMemory, regions: AttentionMemory) -> "DoubleMemory":
        """Join both memories of the same sentences."""
        return cls(text.keys, text.values, text.mask, text.sentences, regions)

    @property
    def text(self) -> AttentionMemory:
        """The memory of the text alone."""
        return AttentionMemory(self.keys, self.values, self.mask, self.sentences)

    @property
    def width(self) -> int:
        """Number of weights of a query, S + R."""
        assert self.regions is not None
        return super().width + self.regions.width

    def text_weights(self, weights: Tensor) -> Tensor:
        """Return the part [..., S] of weights [..., S + R] that belongs to the text."""
        return weights[..., : super().width]

    def select(self, rows: Tensor) -> "DoubleMemory":
        """Return the memories of these rows; see `AttentionMemory.select`."""
        assert self.regions is not None
        return self.join(super().select(rows), self.regions.select(rows))

    def for_search(self) -> "DoubleMemory":
        """Return the memories as search reads them fastest; see `AttentionMemory.for_search`."""
        assert self.regions is not None
        return self.join(super().for_search(), self.regions.for_search())

    def keep(self, rows: Tensor) -> "DoubleMemory":
        """Return what `select` does, in the same memory; see `AttentionMemory.keep`."""
        assert self.regions is not None
        return self.join(super().keep(rows), self.regions.keep(rows))


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


def joined_weights(text: Tensor, regions: Tensor) -> Tensor:
    """Join weights [B, ..., T, S] and [B, ..., T, R]; the heads of a text share the second."""
    if regions.dim() < text.dim():
        regions = regions[:, None].expand(-1, text.size(1), -1, -1)
    return torch.cat([text, regions.type_as(text)], dim=-1)
