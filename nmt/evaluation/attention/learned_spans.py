"""The spans that the heads of ``self_attention=adaptive_span`` have learned."""

from nmt.model.self_attention.adaptive_span import AdaptiveSpan
from nmt.model.seq2seq import TranslationModel


def learned_spans(model: TranslationModel) -> dict[str, float]:
    """Return spans in positions by ``attention/SIDE/layer-N/head-H/span``; N and H count from 1."""
    found: dict[str, float] = {}
    for side, part in (("encoder", model.encoder), ("decoder", model.decoder)):
        layers = [module for module in part.modules() if isinstance(module, AdaptiveSpan)]
        for layer, module in enumerate(layers, start=1):
            for head, span in enumerate(module.spans().tolist(), start=1):
                found[f"attention/{side}/layer-{layer}/head-{head}/span"] = span
    return found
