"""Which of a model's attention is read as a word alignment: layer, head, and at which step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nmt.config.schema import Config
from nmt.data.word_links import Link
from nmt.evaluation.attention_map import AttentionMap, check_layer_head

GUIDED_THRESHOLD = 0.3
"""Within the range, 0.15 to 0.4, that did best on the phrasebook's validation set."""


@dataclass(frozen=True)
class AlignmentExtractor:
    """One way of reading.

    Attributes:
        layer: Of the decoder layers that attend, from 0; negative: from the last.
        head: Likewise; None is the mean of the layer's heads.
        shift: Whether a target piece is read a step later, when it is the decoder's input.
        threshold: A target word's links are its heaviest source word, and all that weigh at least
            this share of it; 1: the heaviest alone.
    """

    layer: int
    head: int | None
    shift: bool
    threshold: float = 1.0

    def resolved(self, layers: int, heads: int) -> "AlignmentExtractor":
        """Return the reading for a model with so many layers and heads, counted from 0.

        Raises:
            UserError: There is no such layer or head.
        """
        check_layer_head(self.layer, self.head, layers, heads)
        head = None if self.head is None else self.head % heads
        return replace(self, layer=self.layer % layers, head=head)

    def links(self, attention: AttentionMap) -> frozenset[Link]:
        """Read the links of a sentence pair from the map of its pieces."""
        return links_by_extractor((self,), attention)[0]


def links_by_extractor(
    readings: Sequence[AlignmentExtractor], attention: AttentionMap
) -> list[frozenset[Link]]:
    """Read a pair's links in several ways; pieces are joined to words once for each shift."""
    words = {
        shift: (attention.shifted() if shift else attention).merged()
        for shift in {reading.shift for reading in readings}
    }
    return [
        words[reading.shift].links(reading.layer, reading.head, reading.threshold)
        for reading in readings
    ]


def default_extractor(config: Config, layers: int) -> AlignmentExtractor:
    """Return the reading for a run: that of its guided alignment, else the mean of the penultimate.

    A guided head has learned to share its weight among the source words of a target word, so it is
    read with a threshold.

    The penultimate of several layers is the best aligned one of a Transformer trained for
    translation alone (Garg et al. 2019, section 4.1).
    """
    guided = config.training.guided_alignment
    penultimate = max(layers - 2, 0)
    if guided.weight > 0:
        layer = penultimate if guided.layer is None else guided.layer
        return AlignmentExtractor(layer, guided.head, guided.shift, GUIDED_THRESHOLD)
    return AlignmentExtractor(penultimate, None, shift=False)


def all_extractors(layers: int, heads: int) -> list[AlignmentExtractor]:
    """Return every layer with the mean of its heads and, where there are several, each of them."""
    chosen = [None, *range(heads)] if heads > 1 else [None]
    return [
        AlignmentExtractor(layer, head, shift)
        for layer in range(layers)
        for head in chosen
        for shift in (False, True)
    ]
