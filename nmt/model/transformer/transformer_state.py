"""The state of a Transformer decoder in search. Legend: A sentences, N beams of each."""

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from nmt.model.attention.memory import AttentionMemory
from nmt.model.interfaces import DecoderState
from nmt.model.self_attention.target_memory import TargetMemory


@dataclass(frozen=True)
class TransformerState(DecoderState):
    """The keys and values of every layer.

    Attributes:
        source: Keys and values of the source, for cross-attention, once per sentence.
        target: Keys and values of the target pieces so far, for self-attention.
    """

    source: tuple[AttentionMemory, ...]
    target: TargetMemory

    def select(self, sentences: Tensor) -> Self:
        """Return the state of these sentences [R], in this order."""
        source = tuple(memory.select(sentences) for memory in self.source)
        return replace(self, source=source, target=self.target.select(sentences))

    def keep(self, sentences: Tensor) -> Self:
        """Return the state of these sentences [R], in the same storage; see `DecoderState.keep`."""
        source = tuple(memory.keep(sentences) for memory in self.source)
        return replace(self, source=source, target=self.target.keep(sentences))

    def reorder(self, parents: Tensor) -> Self:
        """Return the state of the beams ``parents`` [A, N] of each sentence."""
        return replace(self, target=self.target.reorder(parents))

    def reserve(self, steps: int) -> Self:
        """Return the state in buffers with room for ``steps`` target pieces."""
        return replace(self, target=self.target.reserve(steps))
