"""How good a model is now: loss over all tokens, scores of real search, samples and heatmaps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from nmt import processes, runtime
from nmt.config.schema import LoggingConfig
from nmt.data.batch import collate_pairs
from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus
from nmt.data.length_batches import batches_by_length
from nmt.decoding.translator import Translation, Translator
from nmt.evaluation import metrics
from nmt.evaluation.attention_heatmap import translation_heatmap
from nmt.evaluation.attention_statistics import AttentionStatistics
from nmt.evaluation.layer_errors import LayerErrors, joined_scores
from nmt.evaluation.metrics import Score
from nmt.model.loss import target_loss
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.text.special_tokens import PAD

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
        attention: Numbers about each layer's attention by name; see `ForcedReport`.
    """

    loss: float
    bleu: Score
    chrf: Score
    translations: list[str]
    samples: dict[str, str] = field(default_factory=dict)
    heatmaps: dict[str, Heatmap] = field(default_factory=dict)
    attention: dict[str, float] = field(default_factory=dict)

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
            **self.attention,
        }


@dataclass(frozen=True)
class ForcedReport:
    """What forcing a model onto a split tells.

    Attributes:
        loss: Mean negative log-likelihood over all target pieces, in nats.
        attention: Statistics of each layer that attends, by name; where the split has gold links
            also its ``aer`` and, read a step later, ``aer_shifted``, from 0 to 1.
    """

    loss: float
    attention: dict[str, float]


@torch.inference_mode()
def force_corpus(
    translator: Translator, encoded: EncodedCorpus, text: ParallelText
) -> ForcedReport:
    """Force a model onto every pair of a split, once, in the translator's precision.

    Processes that train together share the pairs out, and all get the whole report.
    """
    model = translator.model
    device = model.output.weight.device
    total, tokens = 0.0, 0.0
    statistics = AttentionStatistics()
    errors = None if text.alignment is None else LayerErrors(translator.tokenizers, text)
    order = np.arange(processes.rank(), len(encoded), processes.world())
    lengths = np.asarray(encoded.source.lengths), np.asarray(encoded.target.lengths)
    for indices in batches_by_length(*lengths, order, _BATCH_TOKENS):
        batch = collate_pairs(encoded, indices).to(device)
        with runtime.autocast(device, translator.precision):
            output = model(
                batch.source_ids,
                batch.source_mask,
                batch.target_input_ids,
                need_weights=model.decoder.attends,
            )
            loss = target_loss(model, output.hidden, batch, label_smoothing=0.0)
        total += loss.negative_log_likelihood.item()
        tokens += loss.num_tokens
        if output.weights is not None:
            statistics.add(output.weights, batch.source_mask, batch.target_output_ids != PAD)
            if errors is not None:
                errors.add(output.weights, indices)
    total, tokens = processes.total([total, tokens])
    attention = AttentionStatistics.joined(processes.gather(statistics)).scalars()
    if errors is not None:
        errors.scores = joined_scores(processes.gather(errors.scores))
        attention |= errors.scalars()
    return ForcedReport(total / tokens, attention)


def evaluate_model(
    translator: Translator, text: ParallelText, encoded: EncodedCorpus, logging: LoggingConfig
) -> ValidationReport:
    """Score a model on a split, by forcing and by search; the model is left in evaluation mode."""
    translator.model.eval()
    forced = force_corpus(translator, encoded, text)
    translations = processes.share_out(
        text.source, lambda part: [t.text for t in translator.translate(part)]
    )
    shown = _spread(text, logging.samples)
    drawn = translator.translate([text.source[i] for i in shown], need_weights=True)
    return ValidationReport(
        loss=forced.loss,
        bleu=metrics.bleu(translations, text.target),
        chrf=metrics.chrf(translations, text.target),
        translations=translations,
        samples={
            f"sample/{n}": _sample(text, i, t)
            for n, (i, t) in enumerate(zip(shown, drawn, strict=True), 1)
        },
        heatmaps=_heatmaps(translator, drawn, logging.heatmap_layer),
        attention=forced.attention,
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
