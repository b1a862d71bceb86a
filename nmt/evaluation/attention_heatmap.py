"""From attention maps to pictures of them."""

from nmt.decoding.translator import Translation
from nmt.evaluation.attention_map import AttentionMap, hypothesis_map
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.text.tokenizer import TokenizerPair


def translation_heatmap(
    translation: Translation, tokenizers: TokenizerPair, layer: int, rank: int = 0
) -> Heatmap:
    """Return the attention of a hypothesis: the mean of one decoder layer's heads, pieces as axes.

    Args:
        translation: Made with ``need_weights``.
        tokenizers: Those it was made with.
        layer: From 0; negative: from the last.
        rank: Which hypothesis, the best being 0.

    Raises:
        UserError: The model has no attention, or not that layer.
    """
    return map_heatmap(hypothesis_map(translation, tokenizers, rank), layer, None)


def map_heatmap(attention: AttentionMap, layer: int, head: int | None) -> Heatmap:
    """Return the picture of one head, or of the mean of a layer's heads for None.

    Raises:
        UserError: There is no such layer or head.
    """
    weights = attention.layer_head(layer, head)
    layers, heads = attention.weights.shape[:2]
    return Heatmap(weights, attention.source, attention.target, _title(layer, head, layers, heads))


def _title(layer: int, head: int | None, layers: int, heads: int) -> str:
    if layers == heads == 1:
        return "attention"
    shown = f"mean of {heads} heads" if head is None else f"head {head % heads + 1} of {heads}"
    return f"cross-attention, decoder layer {layer % layers + 1} of {layers}, {shown}"
