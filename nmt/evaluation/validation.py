"""Validation: the teacher-forced loss, scores of beam search, sample translations and heatmaps."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch

from nmt import processes, runtime
from nmt.config.schema import LoggingConfig
from nmt.data.batches.batch import collate_pairs
from nmt.data.batches.length_batches import batches_by_length
from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus
from nmt.decoding.batches import Advance
from nmt.decoding.document_search import translate_documents, with_context
from nmt.decoding.translator import Translation, Translator
from nmt.evaluation import metrics
from nmt.evaluation.attention.attention_heatmap import translation_heatmap
from nmt.evaluation.attention.attention_statistics import AttentionStatistics
from nmt.evaluation.attention.layer_errors import LayerErrors, joined_scores
from nmt.evaluation.attention.learned_depths import LearnedDepths
from nmt.evaluation.attention.learned_spans import learned_spans
from nmt.evaluation.metrics import Score
from nmt.model.losses.loss import target_loss, teacher_forced_output
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.sample_table import sample_table
from nmt.text.sentence_context import NO_CONTEXT, ContextSize
from nmt.text.special_tokens import PAD

_BATCH_TOKENS = 4096

Stage = Callable[[str, int], Advance]
"""Begins a stage, given its name and its number of sentences; returns its progress function."""


def silent_stage(name: str, total: int) -> Advance:
    """Begin a stage whose progress is not shown."""
    return lambda done, share: None


@dataclass(frozen=True)
class ValidationReport:
    """Scores of one model on one split.

    Attributes:
        loss: Mean negative log-likelihood per target piece, in nats.
        bleu: BLEU with its signature.
        chrf: chrF with its signature.
        translations: The translation of every source, in order.
        samples: Tables of source, reference and translation in Markdown, by tag.
        heatmaps: Attention of the samples, by tag; empty for a model without attention.
        attention: Statistics of each layer's attention, by name; see `TeacherForcedReport`.
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
        """The perplexity per piece, e^loss; a loss above 700 counts as 700."""
        return math.exp(min(self.loss, 700.0))

    def scalars(self) -> dict[str, float]:
        """Return all scores by name."""
        return {
            "loss": self.loss,
            "perplexity": self.perplexity,
            "bleu": self.bleu.value,
            "chrf": self.chrf.value,
            **self.attention,
        }


@dataclass(frozen=True)
class TeacherForcedReport:
    """Loss and attention statistics of a model on a split, with the references as decoder input.

    Attributes:
        loss: Mean negative log-likelihood over all target pieces, in nats.
        attention: Statistics of each layer that attends, learned spans and learned depths, by name.
            If the split has gold links, they include ``aer`` and, with a shift, ``aer_shifted`` of
            each layer, from 0 to 1.
    """

    loss: float
    attention: dict[str, float]


@torch.inference_mode()
def teacher_forced_report(
    translator: Translator, encoded: EncodedCorpus, text: ParallelText
) -> TeacherForcedReport:
    """Run a model once on every pair of a split, in the translator's precision.

    Distributed processes divide the pairs among them, and each returns the whole report.
    """
    model = translator.model
    device = model.output.weight.device
    total, tokens = 0.0, 0.0
    statistics, depths = AttentionStatistics(), LearnedDepths()
    errors = None if text.alignment is None else LayerErrors(translator.tokenizers, text)
    order = np.arange(processes.rank(), len(encoded), processes.world())
    lengths = np.asarray(encoded.source.lengths), np.asarray(encoded.target.lengths)
    for indices in batches_by_length(*lengths, order, _BATCH_TOKENS):
        batch = collate_pairs(encoded, indices).to(device)
        with runtime.autocast(device, translator.precision):
            output = teacher_forced_output(model, batch, need_weights=model.decoder.attends)
            loss = target_loss(model, output, batch, label_smoothing=0.0)
        total += loss.negative_log_likelihood.item()
        tokens += loss.num_tokens
        depths.add("encoder", output.source_depth, batch.source_mask)
        depths.add("decoder", output.depth, batch.target_output_ids != PAD)
        if output.weights is not None and model.reads_text:
            weights = output.weights[..., : batch.source_mask.size(1)]  # regions follow them
            statistics.add(weights, batch.source_mask, batch.target_output_ids != PAD)
            if errors is not None:
                errors.add(weights, indices)
    total, tokens = processes.total([total, tokens])
    attention = AttentionStatistics.joined(processes.gather(statistics)).scalars()
    if errors is not None and model.reads_text:
        errors.scores = joined_scores(processes.gather(errors.scores))
        attention |= errors.scalars()
    attention |= learned_spans(model) | LearnedDepths.joined(processes.gather(depths)).scalars()
    return TeacherForcedReport(total / tokens, attention)


def evaluate_model(
    translator: Translator,
    text: ParallelText,
    encoded: EncodedCorpus,
    logging: LoggingConfig,
    bleu_tokenizer: str = "13a",
    stage: Stage = silent_stage,
    context: ContextSize = NO_CONTEXT,
) -> ValidationReport:
    """Score a model on a split by teacher forcing and by beam search.

    The model is left in evaluation mode.

    Args:
        translator: The model.
        text: The split.
        encoded: Its piece ids, with the context that the model reads.
        logging: Settings; ``samples`` is the number of sample translations.
        bleu_tokenizer: BLEU's tokenizer.
        stage: Shows the progress of the search.
        context: How much of a document the model reads with each sentence.
    """
    translator = translator.with_features(text.features)
    translator.model.eval()
    forced = teacher_forced_report(translator, encoded, text)
    translations = _translations(translator, text, context, stage)
    sampled = _evenly_spaced(text, logging.samples)
    sources = with_context(translator.tokenizers, context, text.source, text.documents)
    shown = translator.translate([sources[i] for i in sampled], numbers=sampled, need_weights=True)
    return ValidationReport(
        loss=forced.loss,
        bleu=metrics.bleu(translations, text.target, bleu_tokenizer),
        chrf=metrics.chrf(translations, text.target),
        translations=translations,
        samples=_samples(text, sampled, shown),
        heatmaps=_heatmaps(translator, shown),
        attention=forced.attention,
    )


def _translations(
    translator: Translator, text: ParallelText, context: ContextSize, stage: Stage
) -> list[str]:
    """Translate a split; the processes divide its sentences, or its documents, among them."""
    if not context.targets:
        joined = with_context(translator.tokenizers, context, text.source, text.documents)
        return processes.share_out(
            range(len(joined)),
            lambda part: [
                found.text
                for found in translator.translate(
                    [joined[i] for i in part],
                    numbers=part,
                    wanted=1,
                    advance=stage("validating", len(part)),
                )
            ],
        )
    numbers = text.documents or [0] * len(text)
    starts = [i for i, n in enumerate(numbers) if i == 0 or n != numbers[i - 1]]

    def translated(documents: Sequence[range]) -> list[list[str]]:
        indices = [index for one in documents for index in one]
        found = translate_documents(
            translator,
            context,
            [text.source[index] for index in indices],
            [numbers[index] for index in indices],
            advance=stage("validating", len(indices)),
        )
        texts = iter([one.text for one in found])
        return [[next(texts) for _ in one] for one in documents]

    documents = [range(*ends) for ends in pairwise([*starts, len(numbers)])]
    return [text for one in processes.share_out(documents, translated) for text in one]


def _evenly_spaced(text: ParallelText, count: int) -> list[int]:
    """Return the indices of at most `count` nonblank sentences, evenly spaced over a split."""
    nonblank = [i for i, sentence in enumerate(text.source) if sentence.strip()]
    count = min(count, len(nonblank))
    return [nonblank[(2 * n + 1) * len(nonblank) // (2 * count)] for n in range(count)]


def _samples(
    text: ParallelText, indices: Sequence[int], translations: Sequence[Translation]
) -> dict[str, str]:
    """Return the table of samples by its tag; empty without samples."""
    rows = [
        (text.source[i], text.target[i], translation.text)
        for i, translation in zip(indices, translations, strict=True)
    ]
    return {"valid/samples": sample_table(rows)} if rows else {}


def _heatmaps(translator: Translator, translations: Sequence[Translation]) -> dict[str, Heatmap]:
    layer, head = translator.drawn
    if not translator.model.decoder.attends or not translator.model.reads_text:
        return {}
    # TensorBoard sorts by tag: this tag places the pictures after the curves of ``valid``.
    return {
        f"valid_attention/sample-{n}": translation_heatmap(
            shown, translator.tokenizers, layer, head=head
        )
        for n, shown in enumerate(translations, start=1)
        if shown.hypotheses
    }
