"""From the weights of a translation to a picture of them: L layers, H heads, T target, S source."""

import numpy as np

from nmt.decoding.translator import Translation
from nmt.errors import UserError
from nmt.reporting.heatmap import Heatmap
from nmt.text.special_tokens import EOS_SURFACE
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
    hypothesis = translation.hypotheses[rank]
    if hypothesis.weights is None:
        raise UserError("this model has no attention over the source, so there is none to draw")
    layers, heads = hypothesis.weights.shape[:2]
    if not -layers <= layer < layers:
        raise UserError(f"heatmap layer {layer} does not exist: the decoder attends in {layers}")
    weights = hypothesis.weights[layer].mean(0).float().cpu().numpy()
    source = [*tokenizers.source.pieces(translation.source_ids), EOS_SURFACE]
    target = [*tokenizers.target.pieces(hypothesis.ids), EOS_SURFACE]
    return Heatmap(np.asarray(weights), source, target, _title(layer % layers, layers, heads))


def _title(layer: int, layers: int, heads: int) -> str:
    if layers == heads == 1:
        return "attention"
    return f"cross-attention, decoder layer {layer + 1} of {layers}, mean of {heads} heads"
