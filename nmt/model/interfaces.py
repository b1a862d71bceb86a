"""The interfaces between encoders, decoders and search.

A piece is a token of the tokenizer: a word or a part of a word. A real piece is not padding.

Legend: B batch, S source length, T target length, D size of an encoder state, L layers with
attention, H heads of each, O size of the decoder's output, R regions, F size of a region's state.
In search: A sentences, N beams of each; the rows A · N are hypotheses, and the beams of a sentence
are adjacent.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from torch import Tensor, nn

from nmt.data.batches.packing import Packing
from nmt.data.batches.regions import Regions
from nmt.model.adaptive_depth import DepthUse
from nmt.model.pointer import Copying


@dataclass(frozen=True)
class EncoderOutput:
    """The encoder's result for a batch of sentences.

    Attributes:
        states: [B, S, D], one per piece, or per region of a picture.
        mask: [B, S] bool, True where a decoder may attend. Padding is False. If a row has previous
            sentences, a hierarchical encoder sets only the current sentence to True.
        summary: [B, D], one vector per sentence. An RNN decoder computes its first state from it.
        regions: States [B, R, F] of regions and their mask, for a decoder that attends to text and
            regions separately; None: no regions, or they are part of ``states``.
        depth: The layers that each piece passed; None: all.
        source_ids: The pieces [B, S], for a decoder that reads them; None: it does not.
        previous_targets: The previous target sentences [B, U] of a search, each followed by the
            separator, then PAD, for a decoder that attends to them; None: there are none, or they
            are in the rows of known targets.
    """

    states: Tensor
    mask: Tensor
    summary: Tensor
    regions: Regions | None = None
    depth: DepthUse | None = field(default=None, kw_only=True)
    source_ids: Tensor | None = field(default=None, kw_only=True)
    previous_targets: Tensor | None = field(default=None, kw_only=True)


class Encoder(nn.Module, ABC):
    """Maps the pieces of source sentences to states.

    A `nmt.model.region_encoder.RegionEncoder` reads features instead, and has no embedding.
    """

    embedding: nn.Embedding
    output_size: int  # D

    @abstractmethod
    def forward(
        self, source_ids: Tensor, source_mask: Tensor, source_lengths: Tensor | None = None
    ) -> EncoderOutput:
        """Read sentences.

        Args:
            source_ids: [B, S].
            source_mask: [B, S], True for real pieces.
            source_lengths: [B] int64 on the CPU, the number of real pieces of each sentence; None:
                an encoder that needs the lengths counts the mask, and the host waits for a GPU.
        """

    def read_packed(self, source_ids: Tensor, packing: Packing) -> Tensor:
        """Read the sentences of a packed row [1, N] and return their states [1, N, D].

        Raises:
            ValueError: The encoder has no form for packed rows.
        """
        raise ValueError(f"{type(self).__name__} reads no packed rows")


class DecoderState(ABC):
    """The state of a decoder after some pieces, for A sentences with N hypotheses; first, N = 1.

    Values that depend only on the source are stored once per sentence, for all of its beams. A
    state is a frozen dataclass of tensors, None, numbers, tuples, and dataclasses of these. A CUDA
    graph cannot capture a state whose lists or numbers change.
    """

    @abstractmethod
    def select(self, sentences: Tensor) -> Self:
        """Return a state of R sentences: its sentence i is sentence ``sentences[i]`` of this state.

        Search drops sentences with the indices ``sentences`` [R], and sampling repeats them.
        """

    def keep(self, sentences: Tensor) -> Self:
        """Do what `select` does, for R different sentences; this state is then no longer valid.

        So rows may move within the tensors of this state. ``sentences[i]`` is i, or at least R: a
        sentence among the first R rows keeps its row. See `rows_that_stay`.
        """
        return self.select(sentences)

    @abstractmethod
    def reorder(self, parents: Tensor) -> Self:
        """Return the state whose beam n of sentence a is beam ``parents[a, n]`` of this state.

        ``parents`` is [A, N]. N may differ from the number of beams of this state.
        """

    def reserve(self, steps: int) -> Self:
        """Return the state with room for ``steps`` pieces in all, in tensors of fixed shapes.

        In these steps, each new state has the shapes of the old state, and the host reads no value
        of a tensor. A step may write into the tensors of its input state, so only the newest state
        is valid. A state whose steps never change shapes returns itself.
        """
        return self


@dataclass(frozen=True)
class DecoderOutput:
    """The decoder's result, before the output layer.

    Attributes:
        hidden: [B, T, O], or [A · N, O] of a single step.
        weights: Attention to the source, [B, L, H, T, S], or [A · N, L, H, S] of a single step;
            None: not requested, or the decoder has no attention. If the decoder attends to text
            and regions separately, the R weights of the regions follow those of the text.
        depth: The layers that each known target piece passed; None: all.
        source_depth: The layers of the encoder that each source piece passed; None: all.
        copying: The distribution of copied pieces, with the axes of ``hidden`` except the last;
            None: the decoder does not copy.
    """

    hidden: Tensor
    weights: Tensor | None
    depth: DepthUse | None = None
    source_depth: DepthUse | None = None
    copying: Copying | None = None

    def predictions_at(self, function: Callable[[Tensor], Tensor]) -> "DecoderOutput":
        """Return the output, without weights, at the positions that a function selects.

        The function maps [B, T, ...] to the selected positions, as `Batch.at_targets` does.
        """
        copying = None if self.copying is None else self.copying.map(function)
        return DecoderOutput(function(self.hidden), None, copying=copying)


class Decoder(nn.Module, ABC):
    """Predicts target sentences, step by step, or all pieces at once if the target is known."""

    embedding: nn.Embedding
    output_size: int  # O
    attends: bool  # whether the decoder has attention weights
    reads_source_ids: bool = False  # whether it reads the ids of the source

    @abstractmethod
    def start(self, encoder_output: EncoderOutput) -> DecoderState:
        """Return the state before the first piece, with one row per source sentence."""

    @abstractmethod
    def step(
        self, previous_ids: Tensor, state: DecoderState, *, need_weights: bool
    ) -> tuple[DecoderOutput, DecoderState]:
        """Read one piece per hypothesis, [A · N]; return the output and the new state.

        The output predicts the next piece. The old state stays valid, except after
        `DecoderState.reserve`.
        """

    @abstractmethod
    def forward(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput, *, need_weights: bool
    ) -> DecoderOutput:
        """Read known targets [B, T] that begin with BOS; the result equals T calls of `step`."""

    def expected(self, targets: Tensor) -> Tensor:
        """Return the pieces [N] that the model is trained to predict, given target pieces [N]."""
        return targets

    def read_packed(self, target_input_ids: Tensor, states: Tensor, packing: Packing) -> Tensor:
        """Read the known targets of a packed row [1, T] and return hidden vectors [1, T, O].

        Args:
            target_input_ids: [1, T].
            states: The states [1, S, D] of the encoder.
            packing: The offsets and positions of the sentences.

        Raises:
            ValueError: The decoder has no form for packed rows.
        """
        raise ValueError(f"{type(self).__name__} reads no packed rows")
