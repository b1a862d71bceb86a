"""How good a model is now: loss over all tokens, scores of real search, samples and heatmaps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from nmt import runtime
from nmt.config.schema import LoggingConfig
from nmt.data.batch import collate_pairs
from nmt.data.batching import batches_by_length
from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus
from nmt.decoding.translator import Translation, Translator
from nmt.evaluation import metrics
from nmt.evaluation.attention_maps import translation_heatmap
from nmt.evaluation.metrics import Score
from nmt.model.loss import sequence_loss
from nmt.reporting.heatmap import Heatmap

_BATCH_TOKENS = 4096


@dataclass(frozen=True)
class ValidationReport:
    """Scores of one model on one split.

    Attributes:
        loss: Negative log-likelihood a target piece, in nats.
        bleu: With its signature; likewise ``chrf``.
        translations: Of every source, in order.
        samples: Tag, and source, reference and translation as text.
        heatmaps: Tag and picture of the samples; none for a model without attention.
    """

    loss: float
    bleu: Score
    chrf: Score
    translations: list[str]
    samples: dict[str, str] = field(default_factory=dict)
    heatmaps: dict[str, Heatmap] = field(default_factory=dict)

    @property
    def perplexity(self) -> float:
        """Return e^loss, a piece."""
        return math.exp(min(self.loss, 700.0))

    def scalars(self) -> dict[str, float]:
        """Return the numbers by name."""
        return {
            "loss": self.loss,
            "perplexity": self.perplexity,
            "bleu": self.bleu.value,
            "chrf": self.chrf.value,
        }


@torch.inference_mode()
def corpus_loss(translator: Translator, corpus: EncodedCorpus) -> float:
    """Return the mean negative log-likelihood of a split, over all its target pieces, in nats."""
    device = translator.model.output.weight.device
    total, tokens = 0.0, 0
    order = np.arange(len(corpus))
    lengths = np.asarray(corpus.source.lengths), np.asarray(corpus.target.lengths)
    for indices in batches_by_length(*lengths, order, _BATCH_TOKENS):
        batch = collate_pairs(corpus, indices).to(device)
        with runtime.autocast(device, translator.precision):
            loss = sequence_loss(translator.model, batch, label_smoothing=0.0)
        total += loss.negative_log_likelihood.item()
        tokens += loss.num_tokens
    return total / tokens


def evaluate_model(
    translator: Translator, text: ParallelText, encoded: EncodedCorpus, logging: LoggingConfig
) -> ValidationReport:
    """Score a model on a split, by forcing and by search; the model is left in evaluation mode."""
    translator.model.eval()
    translations = [t.text for t in translator.translate(text.source)]
    shown = _spread(text, logging.samples)
    drawn = translator.translate([text.source[i] for i in shown], need_weights=True)
    return ValidationReport(
        loss=corpus_loss(translator, encoded),
        bleu=metrics.bleu(translations, text.target),
        chrf=metrics.chrf(translations, text.target),
        translations=translations,
        samples={
            f"sample/{n}": _sample(text, i, t)
            for n, (i, t) in enumerate(zip(shown, drawn, strict=True), 1)
        },
        heatmaps=_heatmaps(translator, drawn, logging.heatmap_layer),
    )


def _spread(text: ParallelText, count: int) -> list[int]:
    """Choose sentences evenly over a split, blank ones passed over."""
    spoken = [i for i, sentence in enumerate(text.source) if sentence.strip()]
    count = min(count, len(spoken))
    return [spoken[(2 * n + 1) * len(spoken) // (2 * count)] for n in range(count)]


def _sample(text: ParallelText, index: int, translation: Translation) -> str:
    return (
        f"source:      {text.source[index]}\n"
        f"reference:   {text.target[index]}\n"
        f"translation: {translation.text}"
    )


def _heatmaps(
    translator: Translator, translations: Sequence[Translation], layer: int
) -> dict[str, Heatmap]:
    if not translator.model.decoder.attends:
        return {}
    return {
        f"attention/sample-{n}": translation_heatmap(translation, translator.tokenizers, layer)
        for n, translation in enumerate(translations, start=1)
        if translation.hypotheses
    }
