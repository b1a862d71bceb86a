"""The translation model: any encoder, any decoder, one output layer.

Legend: B batch, S source length, T target length, V target vocabulary, O decoder output size. In
search: A sentences, N beams of each, L layers with attention, H heads, U pieces of the vocabulary.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nmt.data.batches.packing import Packing
from nmt.data.batches.regions import Regions
from nmt.errors import UserError
from nmt.kernels.linear.linear_layer import linear
from nmt.kernels.linear.quantized_linear import QuantizedLinear
from nmt.kernels.linear.weight_layout import rows_for_search
from nmt.model.interfaces import Decoder, DecoderOutput, DecoderState, Encoder, EncoderOutput
from nmt.model.pointer import mixed_log_probs
from nmt.model.region_encoder import RegionEncoder, RegionStates
from nmt.model.self_attention.kind import KindOfSelfAttention


class OutputLayer(nn.Linear):
    """Maps hidden vectors to logits; the target embedding may share the weight.

    Attributes:
        quantized: Replaces the layer in int8 search; None: the layer is not quantized.
    """

    quantized: QuantizedLinear | None = None

    def forward(self, hidden: Tensor, part: Any = None) -> Tensor:
        """Map [..., O] to [..., V], or to [..., U] with a part."""
        part = self.quantized if part is None else part
        if isinstance(part, QuantizedLinear):
            return part(hidden)
        return linear(hidden, self.weight if part is None else part, self.bias)

    def part(self, pieces: Tensor) -> Any:
        """Return the part of the layer for the pieces [U], an argument of `forward` in search."""
        if self.quantized is not None:
            return self.quantized.restricted(pieces)
        return rows_for_search(self.weight, pieces)


class TranslationModel(nn.Module):
    """p(target | source): all pieces at once in training, one piece per step in search.

    The source is a text, features (see `RegionEncoder`), or both. There are two ways to combine
    both. Gated: the decoder has one attention for the text and one for the regions. Joint: the
    states of the regions follow those of the text, and one attention covers all states (the flat
    combination of Libovický & Helcl 2017, section 3.1, with one projection of keys).
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        vocab_size: int,
        regions: RegionStates | None = None,
        *,
        joint: bool = False,
    ) -> None:
        """Join an encoder and a decoder with an output layer of ``vocab_size`` pieces.

        Args:
            encoder: The encoder of the source.
            decoder: The decoder of the target. If there are regions and not ``joint``, it has an
                attention for them.
            vocab_size: Pieces of the target vocabulary.
            regions: Encodes features that belong to a text; None: no such features.
            joint: Whether to append the states of the regions to those of the text.
        """
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.regions = regions
        self.joint = joint
        self.output = OutputLayer(decoder.output_size, vocab_size, bias=False)

    @property
    def feature_size(self) -> int | None:
        """The size of a feature vector; None: the model reads no features."""
        reader = self._region_states()
        return None if reader is None else reader.feature_size

    @property
    def reads_text(self) -> bool:
        """Whether the source has a text."""
        return not isinstance(self.encoder, RegionEncoder)

    def encode(
        self,
        source_ids: Tensor,
        source_mask: Tensor,
        source_lengths: Tensor | None = None,
        regions: Regions | None = None,
        previous_targets: Tensor | None = None,
    ) -> EncoderOutput:
        """Read sources [B, S] and their features; see `nmt.model.interfaces.Encoder`.

        The output has ``previous_targets``; see `EncoderOutput`.

        Raises:
            UserError: The model needs features and gets none, or gets features and reads none.
        """
        reader = self._region_states()
        if (reader is None) != (regions is None):
            raise UserError(_without_features() if regions is None else _unread_features())
        if isinstance(self.encoder, RegionEncoder):
            assert regions is not None
            return self.encoder.read_regions(regions)
        text: EncoderOutput = self.encoder(source_ids, source_mask, source_lengths)
        if self.decoder.reads_source_ids:
            text = replace(text, source_ids=source_ids, previous_targets=previous_targets)
        if reader is None or regions is None:
            return text
        states = reader(regions)
        if not self.joint:
            return replace(text, regions=Regions(states, regions.mask))
        return replace(
            text,
            states=torch.cat([text.states, states.type_as(text.states)], dim=1),
            mask=torch.cat([text.mask, regions.mask], dim=1),
        )

    def _region_states(self) -> RegionStates | None:
        if isinstance(self.encoder, RegionEncoder):
            return self.encoder.regions
        return self.regions

    def forward(
        self,
        source_ids: Tensor,
        source_mask: Tensor,
        target_input_ids: Tensor,
        *,
        need_weights: bool = False,
        source_lengths: Tensor | None = None,
        packing: Packing | None = None,
        regions: Regions | None = None,
    ) -> DecoderOutput:
        """Return the decoder's vectors [B, T, O] for known targets; see `nmt.model.losses.loss`.

        Raises:
            ValueError: The model has no form for the packed batch, or weights were requested.
        """
        if packing is not None:
            if need_weights:
                raise ValueError("a packed batch has no attention weights")
            states = self.encoder.read_packed(source_ids, packing)
            return DecoderOutput(self.decoder.read_packed(target_input_ids, states, packing), None)
        encoded = self.encode(source_ids, source_mask, source_lengths, regions)
        output: DecoderOutput = self.decoder(target_input_ids, encoded, need_weights=need_weights)
        return output if encoded.depth is None else replace(output, source_depth=encoded.depth)

    def logits(self, hidden: Tensor, part: Any = None) -> Tensor:
        """Return the logits [..., V] of hidden vectors [..., O].

        With a part from `output_part`, return the logits [..., U] of its pieces.
        """
        scores: Tensor = self.output(hidden, part)
        return scores

    def predictions(self, output: DecoderOutput, part: Any = None) -> Tensor:
        """Return logits [..., V], whose softmax is the distribution of the next pieces.

        If the decoder copies, the logits are log-probabilities; see `nmt.model.pointer`. See
        `logits` for ``part``.

        Raises:
            ValueError: There is a part, and the decoder copies.
        """
        logits = self.logits(output.hidden, part)
        if output.copying is None:
            return logits
        if part is not None:
            raise ValueError("a decoder that copies needs all pieces of the output layer")
        return mixed_log_probs(logits, output.copying)

    def output_part(self, pieces: Tensor) -> Any:
        """Return the part of the output layer for the pieces [U], for all steps of a search."""
        return self.output.part(pieces)

    def penalty(self) -> tuple[Tensor, float] | None:
        """Return a penalty per target token and its weight in the loss; None: no penalty.

        Penalty times weight is the sum of the weighted penalties of all layers; see
        `KindOfSelfAttention.penalty`. The penalty is their weighted mean.
        """
        attentions = (part for part in self.modules() if isinstance(part, KindOfSelfAttention))
        found = [penalty for part in attentions if (penalty := part.penalty()) is not None]
        if not found:
            return None
        weight = sum(weight for _, weight in found)
        if not weight:
            return torch.stack([cost for cost, _ in found]).mean(), 0.0
        return torch.stack([cost * weight for cost, weight in found]).sum() / weight, weight

    def start(self, encoder_output: EncoderOutput) -> DecoderState:
        """Return the decoder's state before the first piece."""
        return self.decoder.start(encoder_output)

    def step(
        self,
        previous_ids: Tensor,
        state: DecoderState,
        *,
        need_weights: bool = False,
        part: Any = None,
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Advance by the previous pieces [A · N].

        Returns:
            Logits [A · N, V], or [A · N, U] of a part of the output layer, attention weights
            [A · N, L, H, S] or None, and the new state; see `nmt.model.interfaces.Decoder.step`.
        """
        output, state = self.decoder.step(previous_ids, state, need_weights=need_weights)
        return self.predictions(output, part), output.weights, state


def _without_features() -> str:
    return (
        "this model reads features, but none are given: name them by --features FILE, or by "
        "data.features for training"
    )


def _unread_features() -> str:
    return "this model reads no features: leave out --features, or set model.features.combination"
