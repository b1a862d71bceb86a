"""Rules that extract word alignments from attention: a layer, a head, a shift and a threshold."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nmt.config.numbering import default_layer_head, number_of
from nmt.config.schema import Config
from nmt.data.word_links import Link
from nmt.evaluation.attention.attention_map import AttentionMap, check_layer_head

GUIDED_THRESHOLD = 0.3
"""The threshold of a guided head.

Thresholds from 0.15 to 0.4 gave the lowest AER on the phrasebook's validation set.
"""


@dataclass(frozen=True)
class AlignmentExtractor:
    """A rule that turns an attention map into word links.

    Attributes:
        layer: Index among the decoder layers that attend; negative: from the last.
        head: Index of the head; negative: from the last; None: the mean of the layer's heads.
        shift: Whether a target piece takes the weights of the next step, in which the piece is the
            decoder's input (Chen et al. 2020, section 3).
        threshold: A target word is linked to each source word whose weight is at least
            ``threshold`` times the greatest weight. With 1 it is linked to one word only.
    """

    layer: int
    head: int | None
    shift: bool
    threshold: float = 1.0

    def resolved(self, layers: int, heads: int) -> "AlignmentExtractor":
        """Return the rule for a model of this size, without negative indices.

        Raises:
            UserError: There is no such layer or head.
        """
        check_layer_head(self.layer, self.head, layers, heads)
        head = None if self.head is None else self.head % heads
        return replace(self, layer=self.layer % layers, head=head)

    def numbered(self) -> dict[str, Any]:
        """Return the rule as the user gives it, with layer and head counted from 1."""
        head = None if self.head is None else number_of(self.head)
        return {**asdict(self), "layer": number_of(self.layer), "head": head}

    def links(self, attention: AttentionMap) -> frozenset[Link]:
        """Return the links of a sentence pair, given the attention map of its pieces."""
        return links_by_extractor((self,), attention)[0]


def links_by_extractor(
    extractors: Sequence[AlignmentExtractor], attention: AttentionMap
) -> list[frozenset[Link]]:
    """Return a pair's links, a set per extractor; pieces are merged to words once per shift."""
    words = {
        shift: (attention.shifted() if shift else attention).merged()
        for shift in {extractor.shift for extractor in extractors}
    }
    return [
        words[extractor.shift].links(extractor.layer, extractor.head, extractor.threshold)
        for extractor in extractors
    ]


def default_extractor(config: Config, layers: int) -> AlignmentExtractor:
    """Return a run's extractor, with the layer and head from `default_layer_head`.

    A guided head is trained to distribute its weight over all source words that a target word is
    linked to. It therefore gets a threshold below 1.
    """
    layer, head = default_layer_head(config, layers)
    guided = config.training.guided_alignment
    if guided.weight > 0:
        return AlignmentExtractor(layer, head, guided.shift, GUIDED_THRESHOLD)
    return AlignmentExtractor(layer, head, shift=False)


def all_extractors(layers: int, heads: int) -> list[AlignmentExtractor]:
    """Return the extractors of all heads and of each layer's mean, without and with a shift.

    If a layer has one head, only its mean is returned.
    """
    chosen = [None, *range(heads)] if heads > 1 else [None]
    return [
        AlignmentExtractor(layer, head, shift)
        for layer in range(layers)
        for head in chosen
        for shift in (False, True)
    ]
