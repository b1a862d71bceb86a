"""A Transformer decoder of documents: separate sentences, then hierarchical attention.

Legend: B batch, S length of a source row, T of a target row, U of a row of previous target
sentences, D model size. In search: A sentences, N beams of each.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nmt.config.model import TransformerDecoderConfig
from nmt.data.batches.packing import Packing
from nmt.errors import UserError
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.model.documents.hierarchical_attention import (
    ContextMemory,
    ContextWeights,
    HierarchicalAttention,
)
from nmt.model.documents.sentence_segments import ContextPieces, Segments
from nmt.model.interfaces import DecoderOutput, DecoderState, EncoderOutput
from nmt.model.transformer.transformer_stacks import TransformerDecoder
from nmt.model.transformer.transformer_state import TransformerState
from nmt.text.special_tokens import BOS, EOS, PAD, SENTENCE_BREAK


@dataclass(frozen=True)
class HierarchicalState(TransformerState):
    """The keys and values of every layer, and of previous target sentences.

    Attributes:
        context: The words of the previous target sentences of each of the A sentences; None: there
            are no previous target sentences.
    """

    context: ContextMemory | None = None

    def select(self, sentences: Tensor) -> "HierarchicalState":
        """Return the state of these sentences [R], in this order."""
        return replace(super().select(sentences), context=self._context_of(sentences))

    def keep(self, sentences: Tensor) -> "HierarchicalState":
        """Return the state of these sentences [R]; see `DecoderState.keep`."""
        return replace(super().keep(sentences), context=self._context_of(sentences))

    def _context_of(self, sentences: Tensor) -> ContextMemory | None:
        return None if self.context is None else self.context.select(sentences)


class HierarchicalDecoder(TransformerDecoder):
    """Decodes each sentence of a row separately, then adds the context of previous sentences.

    This is the decoder of Miculicich et al. 2018 whose keys and values are the states of the
    previous target sentences. A row of known targets has previous sentences, each followed by a
    separator, and the current sentence. The layers of the stack read each sentence of a row
    separately: it begins with BOS, its positions begin at 0, and self-attention stays within it. A
    previous sentence attends to the states of its own source sentence. Then `HierarchicalAttention`
    mixes the states of the previous sentences into the states of the current sentence. The previous
    sentences get no context. The loss of their pieces is that of single sentences, which end with
    EOS.

    In search, `start` reads the previous sentences; see `EncoderOutput.previous_targets`.
    """

    reads_source_ids = True

    def __init__(
        self,
        config: TransformerDecoderConfig,
        vocab_size: int,
        memory_size: int,
        pieces: ContextPieces | None,
    ) -> None:
        """Build the stack for a vocabulary and an encoder of ``memory_size``.

        Args:
            config: Settings of the decoder.
            vocab_size: Pieces of the vocabulary.
            memory_size: Size of an encoder state.
            pieces: The pieces that separate sentences; None: the model cannot read text.

        Raises:
            UserError: A tokenizer has no separator.
        """
        super().__init__(config, vocab_size, memory_size)
        if pieces is not None and None in (pieces.separator, pieces.target_separator):
            side = "source" if pieces.separator is None else "target"
            raise UserError(
                f"model.decoder.context=hierarchical needs {SENTENCE_BREAK} between sentences, but "
                f"the {side} tokenizer has no such symbol: add it to tokenizer.symbols"
            )
        self._pieces = pieces
        sentences = 1 if pieces is None else pieces.target_sentences
        self.hierarchical_attention = HierarchicalAttention(config, sentences)

    def start(self, encoder_output: EncoderOutput) -> HierarchicalState:
        """Compute the keys and values of the source and of the previous target sentences."""
        state = super().start(encoder_output)
        previous, context = encoder_output.previous_targets, None
        if previous is not None:
            ids = functional.pad(previous, (1, 0), value=BOS)
            segments = self._segments(ids)
            output = self._sentences(ids, encoder_output, segments, need_weights=False)
            context = self.hierarchical_attention.read(output.hidden, segments)
        return HierarchicalState(state.source, state.target, context)

    def step(
        self, previous_ids: Tensor, state: DecoderState, *, need_weights: bool
    ) -> tuple[DecoderOutput, HierarchicalState]:
        """Read one piece of the current sentence per hypothesis; see `Decoder.step`."""
        output, after = super().step(previous_ids, state, need_weights=need_weights)
        assert isinstance(after, HierarchicalState)
        if after.context is None:
            return output, after
        hidden = output.hidden.unflatten(0, (len(after.context.exist), -1))  # [A, N, D]
        mixed = self.hierarchical_attention.mixed(hidden, after.context)
        return replace(output, hidden=mixed.flatten(0, 1)), after

    def forward(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput, *, need_weights: bool
    ) -> DecoderOutput:
        """Read rows of known targets [B, T] that begin with BOS.

        The results of the current sentence equal the results of `step` after a `start` with the
        same previous sentences.
        """
        segments = self._segments(target_input_ids)
        output = self._sentences(
            target_input_ids, encoder_output, segments, need_weights=need_weights
        )
        return replace(output, hidden=self.hierarchical_attention(output.hidden, segments))

    def context_weights(
        self, target_input_ids: Tensor, encoder_output: EncoderOutput
    ) -> tuple[ContextWeights, Segments]:
        """Return the weights of both levels and the sentences of rows of known targets [B, T]."""
        segments = self._segments(target_input_ids)
        output = self._sentences(target_input_ids, encoder_output, segments, need_weights=False)
        return self.hierarchical_attention.weights(output.hidden, segments), segments

    def expected(self, targets: Tensor) -> Tensor:
        """Return the target pieces [N] with EOS where a previous sentence ends."""
        return targets.masked_fill(targets == self._separator, EOS)

    def read_packed(self, target_input_ids: Tensor, states: Tensor, packing: Packing) -> Tensor:
        """Refuse packed rows; see `nmt.config.checks.packable`."""
        raise ValueError(f"{type(self).__name__} reads no packed rows")

    @property
    def _known_pieces(self) -> ContextPieces:
        if self._pieces is None:
            raise ValueError("this model was built without the separator of its tokenizer")
        return self._pieces

    @property
    def _separator(self) -> int:
        separator = self._known_pieces.target_separator
        assert separator is not None
        return separator

    def _segments(self, ids: Tensor) -> Segments:
        return Segments.of_targets(ids, self._separator)

    def _sentences(
        self, ids: Tensor, encoder_output: EncoderOutput, segments: Segments, *, need_weights: bool
    ) -> DecoderOutput:
        """Decode each sentence of rows of ids [B, T] separately."""
        ids = ids.masked_fill(ids == self._separator, BOS)
        embedded = self.positioned(ids, segments.positions, ids.size(1))
        causal = torch.ones(ids.size(1), ids.size(1), dtype=torch.bool, device=ids.device).tril()
        sources = self._source(encoder_output, self._source_mask(encoder_output, segments))
        mask = AttentionMask(segments.within & causal)
        return self._read(embedded, mask, sources, need_weights=need_weights)

    def _source_mask(self, encoder_output: EncoderOutput, segments: Segments) -> AttentionMask:
        """Return which source positions each target position may attend to, [B, 1, T, S].

        The current sentence attends to the positions of the encoder's mask. A previous sentence
        attends to its own source sentence. If the row has no such source sentence, it attends to
        the same positions as the current sentence.
        """
        ids, shown = encoder_output.source_ids, encoder_output.mask[:, None, :]
        assert ids is not None
        source = Segments.of(ids, ids != PAD, self._known_pieces)
        own = (segments.ages[:, :, None] == source.ages[:, None, :]) & source.real[:, None, :]
        shows = (segments.ages == 0)[:, :, None] | ~own.any(2, keepdim=True)
        return AttentionMask(torch.where(shows, shown, own)[:, None])
