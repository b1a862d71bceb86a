"""Heatmaps of attention maps."""

from nmt.decoding.translator import Translation
from nmt.evaluation.attention.attention_map import (
    AttentionMap,
    hypothesis_map,
    hypothesis_region_map,
)
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.text.tokenizer import TokenizerPair


def translation_heatmap(
    translation: Translation,
    tokenizers: TokenizerPair,
    layer: int,
    rank: int = 0,
    head: int | None = None,
) -> Heatmap:
    """Return a heatmap of a hypothesis, with pieces as labels.

    Args:
        translation: A translation made with ``need_weights``.
        tokenizers: The tokenizers of its model.
        layer: Index of the decoder layer; negative: from the last.
        rank: The rank of the hypothesis; 0 is the best.
        head: Index of the head; None: the mean of the layer's heads.

    Raises:
        UserError: The model has no attention, or the layer or head does not exist.
    """
    return map_heatmap(hypothesis_map(translation, tokenizers, rank), layer, head)


def region_heatmap(
    translation: Translation, tokenizers: TokenizerPair, layer: int, head: int | None = None
) -> Heatmap:
    """Return a heatmap of the best hypothesis over regions; see `translation_heatmap`."""
    return map_heatmap(hypothesis_region_map(translation, tokenizers), layer, head)


def map_heatmap(
    attention: AttentionMap, layer: int, head: int | None, heading: str | None = None
) -> Heatmap:
    """Return a heatmap of one head, or of the mean of a layer's heads if ``head`` is None.

    The title gives ``heading`` and the head; without a heading it gives the decoder layer.

    Raises:
        UserError: The layer or head does not exist.
    """
    weights = attention.layer_head(layer, head)
    layers, heads = attention.weights.shape[:2]
    title = _title(heading, layer, head, layers, heads)
    return Heatmap(weights, attention.source, attention.target, title)


def _title(heading: str | None, layer: int, head: int | None, layers: int, heads: int) -> str:
    if layers == heads == 1:
        return heading or "attention"
    shown = f"mean of {heads} heads" if head is None else f"head {head % heads + 1} of {heads}"
    where = heading or f"cross-attention, decoder layer {layer % layers + 1} of {layers}"
    return f"{where}, {shown}"
