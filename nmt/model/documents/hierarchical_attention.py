"""Attention to the words of previous sentences, then to the sentences (Miculicich et al. 2018).

Legend: B batch, S length of a row, T queries, k greatest number of previous sentences, D model
size, H heads.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config.model import TransformerStackConfig
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.stack_attention import stack_attention
from nmt.model.documents.sentence_segments import Segments
from nmt.model.layers import Dropout, Linear
from nmt.model.transformer.position_wise import FeedForward


@dataclass(frozen=True)
class ContextWeights:
    """The weights of both levels, for each piece of a row.

    Attributes:
        words: [B, k, H, S, S], from each piece to the words of the sentence 1, ..., k before the
            current one. The weights of a sentence sum to 1. They have no meaning if the row has
            no such sentence.
        sentences: [B, H, S, k], from each piece to the sentences 1, ..., k before the current one.
    """

    words: Tensor
    sentences: Tensor


@dataclass(frozen=True)
class ContextMemory:
    """The keys and values of the words of previous sentences.

    Attributes:
        words: Keys and values of all S words of a row, without a mask.
        masks: [B, k, S] bool, True for the words of the sentence 1, ..., k before the current one.
            True for all words if the row has no such sentence, so that no softmax is empty.
        exist: [B, k] bool, whether the row has the sentence.
    """

    words: AttentionMemory
    masks: Tensor
    exist: Tensor

    def select(self, rows: Tensor) -> "ContextMemory":
        """Return the memory of these rows [R] of the batch; R replaces B."""
        return ContextMemory(
            self.words.select(rows),
            self.masks.index_select(0, rows),
            self.exist.index_select(0, rows),
        )


class HierarchicalAttention(nn.Module):
    """Mixes a context from previous sentences into the states h_t of the current sentence.

    Miculicich et al. 2018, sections 2.1 and 2.2, for the states h_i^j of the words of sentence j:

        s^j = MultiHead(f_w(h_t), h_i^j for all words i)      the summary of a sentence, for word t
        d_t = FFN(MultiHead(f_s(h_t), s^j for all sentences j))
        λ_t = σ(W_h h_t + W_d d_t)
        h̃_t = λ_t h_t + (1 - λ_t) d_t

    f_w and f_s are linear. The gate has one value for each unit. In a row without previous
    sentences, h̃_t = h_t.
    """

    def __init__(self, config: TransformerStackConfig, sentences: int) -> None:
        """Attend to at most ``sentences`` = k previous sentences."""
        super().__init__()
        self.sentences = sentences
        size = config.hidden_size
        self.word_query = Linear(size, size)
        self.sentence_query = Linear(size, size)
        self.word_attention = stack_attention(MultiHeadAttention, config)
        self.sentence_attention = stack_attention(MultiHeadAttention, config)
        self.feed_forward = FeedForward(config)
        self.dropout = Dropout(config.dropout)
        self.state_gate = Linear(size, size)
        self.context_gate = Linear(size, size, bias=False)

    def forward(self, states: Tensor, segments: Segments) -> Tensor:
        """Return the states [B, S, D] of rows; only states of current sentences change."""
        mixed = self.mixed(states, self.read(states, segments))
        return torch.where(segments.current[:, :, None], mixed, states)

    def read(self, states: Tensor, segments: Segments) -> ContextMemory:
        """Return the memory of the previous sentences of rows with states [B, S, D]."""
        ages = range(1, self.sentences + 1)
        masks = torch.stack([segments.previous(age) for age in ages], dim=1)
        exist = masks.any(2)
        words = self.word_attention.build_memory(states, None)
        return ContextMemory(words, masks | ~exist[:, :, None], exist)

    def mixed(self, states: Tensor, memory: ContextMemory) -> Tensor:
        """Return h̃ [B, T, D] of states of the current sentences of B rows."""
        context, _ = self._context(states, memory, need_weights=False)
        gate = (self.state_gate(states) + self.context_gate(context)).sigmoid()
        mixed = gate * states + (1 - gate) * context
        return torch.where(memory.exist[:, 0, None, None], mixed, states)

    def weights(self, states: Tensor, segments: Segments) -> ContextWeights:
        """Return the weights of both levels from states [B, S, D]."""
        memory = self.read(states, segments)
        _, weights = self._context(states, memory, need_weights=True)
        assert weights is not None
        return weights

    def _context(
        self, states: Tensor, memory: ContextMemory, *, need_weights: bool
    ) -> tuple[Tensor, ContextWeights | None]:
        """Return d_t [B, T, D] for states [B, T, D], and the weights if needed."""
        queries = self.word_query(states)
        summaries, word_weights = [], []
        for mask in memory.masks.unbind(1):
            words = replace(memory.words, mask=mask[:, None, None])
            found = self.word_attention(queries, words, need_weights=need_weights)
            summaries.append(found.context)
            word_weights.append(found.weights)
        attended = self.sentence_attention(
            self.sentence_query(states).flatten(0, 1)[:, None],
            self._sentence_memory(torch.stack(summaries, dim=2), memory.exist),
            need_weights=need_weights,
        )
        context = attended.context[:, 0].view_as(states)
        weights = None
        if need_weights:
            of_sentences = attended.weights[:, :, 0].unflatten(0, states.shape[:2])
            weights = ContextWeights(
                torch.stack(word_weights, dim=1),
                of_sentences.transpose(1, 2),
            )
        return self.dropout(self.feed_forward(context)), weights

    def _sentence_memory(self, summaries: Tensor, exist: Tensor) -> AttentionMemory:
        """Return keys and values of the summaries [B, T, k, D]; ``exist`` [B, k] is the mask."""
        mask = exist.clone()
        mask[:, 0] = True  # No softmax is empty. A row without sentences does not use its context.
        mask = mask[:, None, None, None].expand(-1, summaries.size(1), -1, -1, -1)
        return self.sentence_attention.build_memory(summaries.flatten(0, 1), mask.flatten(0, 1))
