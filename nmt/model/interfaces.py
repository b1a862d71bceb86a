"""The contracts between encoders, decoders and search.

Legend: B batch, S source length, T target length, D size of an encoder state, L layers with
attention, H heads of each, O size of the decoder's output.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn


@dataclass(frozen=True)
class EncoderOutput:
    """A batch of sentences read.

    Attributes:
        states: [B, S, D], one a piece.
        mask: [B, S] bool, True on real pieces.
        summary: [B, D], one vector a sentence; what bridges start from.
    """

    states: Tensor
    mask: Tensor
    summary: Tensor


class Encoder(nn.Module, ABC):
    """Reads source sentences."""

    embedding: nn.Embedding
    output_size: int

    @abstractmethod
    def forward(self, source_ids: Tensor, source_mask: Tensor) -> EncoderOutput:
        """Read ids [B, S] whose mask [B, S] is True on real pieces."""


class DecoderState(ABC):
    """All that a decoder remembers of the hypotheses it is writing, one row each."""

    @abstractmethod
    def select(self, rows: Tensor) -> Self:
        """Return the state of these rows [R]; repeating, reordering and dropping are all this."""


@dataclass(frozen=True)
class DecoderOutput:
    """What a decoder says before the output layer.

    Attributes:
        hidden: [B, T, O], or [B, O] of a single step.
        weights: Attention over the source, [B, L, H, T, S], or [B, L, H, S] of a single step; None
            where it was not asked for, or where the decoder has none.
    """

    hidden: Tensor
    weights: Tensor | None


class Decoder(nn.Module, ABC):
    """Writes target sentences, a piece at a time, or all at once when they are known."""

    embedding: nn.Embedding
    output_size: int
    attends: bool

    @abstractmethod
    def start(self, encoder_output: EncoderOutput) -> DecoderState:
        """Return the state before the first piece, a row for each source sentence."""

    @abstractmethod
    def step(
        self, previous_ids: Tensor, state: DecoderState, *, need_weights: bool
    ) -> tuple[DecoderOutput, DecoderState]:
        """Advance every row by its previous piece [B]."""

    @abstractmethod
    def forward(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput, *, need_weights: bool
    ) -> DecoderOutput:
        """Read known targets [B, T] that begin with BOS; equal to T steps."""
