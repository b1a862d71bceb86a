"""A Transformer encoder of documents: separate sentences, then hierarchical attention.

Legend: B batch, S length of a row, D model size.
"""

import torch
from torch import Tensor

from nmt.config.model import TransformerEncoderConfig
from nmt.data.batches.packing import Packing
from nmt.errors import UserError
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.model.adaptive_depth import DepthUse
from nmt.model.documents.hierarchical_attention import ContextWeights, HierarchicalAttention
from nmt.model.documents.sentence_segments import ContextPieces, Segments
from nmt.model.interfaces import EncoderOutput
from nmt.model.transformer.transformer_stacks import TransformerEncoder
from nmt.text.special_tokens import SENTENCE_BREAK


class HierarchicalEncoder(TransformerEncoder):
    """Reads rows of previous sentences, each followed by a separator, and the current sentence.

    The layers of the stack encode each sentence of a row separately: self-attention stays within
    it, and its positions begin at 0. Then `HierarchicalAttention` mixes the states of the previous
    sentences into the states of the current sentence. The mask of the output lets a decoder attend
    only to the current sentence.
    """

    def __init__(
        self, config: TransformerEncoderConfig, vocab_size: int, pieces: ContextPieces | None
    ) -> None:
        """Build the stack for a vocabulary.

        Args:
            config: Settings of the encoder.
            vocab_size: Pieces of the vocabulary.
            pieces: The pieces that separate sentences; None: the model cannot read text.

        Raises:
            UserError: The tokenizer has no separator.
        """
        super().__init__(config, vocab_size)
        if pieces is not None and pieces.separator is None:
            raise UserError(
                f"model.encoder.context=hierarchical needs {SENTENCE_BREAK} between sentences, but "
                "the source tokenizer has no such symbol: add it to tokenizer.symbols"
            )
        self._pieces = pieces
        sentences = 1 if pieces is None else pieces.sentences
        self.hierarchical_attention = HierarchicalAttention(config, sentences)

    def forward(
        self, source_ids: Tensor, source_mask: Tensor, source_lengths: Tensor | None = None
    ) -> EncoderOutput:
        """Read ids [B, S] and return the states [B, S, D] of the whole row.

        The mask is True only for the current sentence. The summary is the mean of its states.
        """
        segments = self.segments(source_ids, source_mask)
        states, depth = self._sentences(source_ids, segments)
        states = self.hierarchical_attention(states, segments)
        current = segments.current
        real = current[:, :, None].type_as(states)
        return EncoderOutput(states, current, (states * real).sum(1) / real.sum(1), depth=depth)

    def context_weights(self, source_ids: Tensor, source_mask: Tensor) -> ContextWeights:
        """Return the weights of both levels of attention for rows of ids [B, S]."""
        segments = self.segments(source_ids, source_mask)
        states, _ = self._sentences(source_ids, segments)
        return self.hierarchical_attention.weights(states, segments)

    def segments(self, source_ids: Tensor, source_mask: Tensor) -> Segments:
        """Return where the sentences of rows of ids [B, S] are.

        Raises:
            ValueError: The model was built without the pieces that separate sentences.
        """
        if self._pieces is None:
            raise ValueError("this model was built without the separator of its tokenizer")
        return Segments.of(source_ids, source_mask, self._pieces)

    def read_packed(self, source_ids: Tensor, packing: Packing) -> Tensor:
        """Refuse packed rows; see `nmt.config.checks.packable`."""
        raise ValueError(f"{type(self).__name__} reads no packed rows")

    def _sentences(self, source_ids: Tensor, segments: Segments) -> tuple[Tensor, DepthUse | None]:
        """Encode each sentence of the rows separately, [B, S, D]."""
        steps = torch.arange(source_ids.size(1), device=source_ids.device)
        embedded = self.positioned(source_ids, segments.positions, source_ids.size(1))
        mask = AttentionMask(segments.within)
        return self._run(embedded, mask, self.relative(steps, steps), segments.real)
