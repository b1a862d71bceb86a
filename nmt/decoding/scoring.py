"""The log-probability of given translations, piece by piece, by teacher forcing.

Legend: B batch, T target length, EOS included, N target pieces of a batch, V vocabulary, O decoder
output size.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nmt import runtime
from nmt.config.schema import LengthNormalization
from nmt.data.batches.batch import Batch, collate
from nmt.data.batches.length_batches import batches_by_length
from nmt.decoding.batches import CHUNK_BATCHES
from nmt.decoding.hypothesis import length_divisor
from nmt.decoding.sentence_features import regions_of
from nmt.decoding.translator import Translator
from nmt.model.seq2seq import TranslationModel

_BATCH_TOKENS = 4096  # target pieces of a batch
_LOGITS = 1 << 25  # logits in memory at a time


@dataclass(frozen=True)
class ScoredTranslation:
    """A given translation and its probability under a model.

    Attributes:
        source: The sentence.
        target: The translation.
        pieces: The pieces of the translation as text, EOS last.
        log_probs: For each piece, the natural logarithm of its probability, given the source and
            the previous pieces.
        p_gen: For each piece, the probability that the model generates instead of copying; None:
            the model does not copy, or it is an ensemble.
    """

    source: str
    target: str
    pieces: list[str]
    log_probs: list[float]
    p_gen: list[float] | None = None

    @property
    def log_prob(self) -> float:
        """Natural logarithm of the probability of the translation, EOS included."""
        return sum(self.log_probs)

    def score(self, alpha: float, normalization: str = LengthNormalization.GNMT) -> float:
        """Return the log-probability divided by the length penalty, as in search."""
        return self.log_prob / length_divisor(len(self.log_probs), alpha, normalization)


def score_translations(
    translator: Translator, pairs: Iterable[tuple[str, str]], translations: int = 1
) -> Iterator[ScoredTranslation]:
    """Yield the score of each (source, translation), in order.

    Pairs are read in chunks, so memory use does not depend on their number. The probability is that
    of the tokenizer's segmentation of the translation.

    Args:
        translator: The model, with the features of the sentences if there are any.
        pairs: The pairs; all translations of a sentence follow each other.
        translations: Number of translations per sentence.
    """
    stream, done = iter(pairs), 0
    while chunk := list(islice(stream, CHUNK_BATCHES * translator.decoding.batch_size)):
        numbers = [(done + i) // translations for i in range(len(chunk))]
        yield from _score_chunk(translator, chunk, numbers)
        done += len(chunk)


def _score_chunk(
    translator: Translator, pairs: Sequence[tuple[str, str]], numbers: Sequence[int]
) -> Iterator[ScoredTranslation]:
    target_tokenizer = translator.tokenizers.target
    sources = translator.tokenizers.source.encode_all([source for source, _ in pairs])
    targets = target_tokenizer.encode_all([target for _, target in pairs])
    device = translator.model.output.weight.device
    source_lengths, target_lengths = (
        np.array([len(ids) for ids in side]) for side in (sources, targets)
    )
    order = np.arange(len(pairs))
    found: dict[int, tuple[list[float], list[float] | None]] = {}
    size = translator.decoding.batch_size
    for group in batches_by_length(source_lengths, target_lengths, order, _BATCH_TOKENS):
        for start in range(0, len(group), size):
            rows = group[start : start + size].tolist()
            batch = collate([sources[i] for i in rows], [targets[i] for i in rows]).to(device)
            own = [numbers[i] for i in rows]
            batch = replace(batch, regions=regions_of(translator.features, own, device))
            with runtime.autocast(device, translator.precision):
                scores, gates = _piece_scores(translator.model, batch)
            log_probs, p_gen = scores.tolist(), None if gates is None else gates.tolist()
            first = 0
            for i in rows:
                mine = slice(first, first + len(targets[i]) + 1)
                found[i] = log_probs[mine], None if p_gen is None else p_gen[mine]
                first = mine.stop
    for i, (source, target) in enumerate(pairs):
        pieces = [*target_tokenizer.pieces(targets[i]), "</s>"]
        yield ScoredTranslation(source, target, pieces, *found[i])


def piece_log_probs(model: TranslationModel, batch: Batch) -> Tensor:
    """Return the log-probabilities [N] of all target pieces of a batch, sentence after sentence.

    The sum over a sentence is log p(y | x) = sum over t of log p(y_t | y_<t, x) (Bahdanau et al.
    2015, eq. 2). Search computes the same values step by step.

    Args:
        model: In evaluation mode, on the device of the batch.
        batch: Padded, not packed.
    """
    return _piece_scores(model, batch)[0]


@torch.inference_mode()
def _piece_scores(model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Return the log-probabilities [N], and p_gen [N] of a model that copies."""
    inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
    output = model(*inputs, regions=batch.regions)
    output, targets = output.predictions_at(batch.at_targets), batch.targets()  # [N, O], [N]
    rows = max(1, _LOGITS // model.output.out_features)
    parts = []
    for start in range(0, len(targets), rows):
        chunk = slice(start, start + rows)
        logits = model.predictions(output.predictions_at(itemgetter(chunk))).float()
        parts.append(functional.cross_entropy(logits, targets[chunk], reduction="none"))
    copying = output.copying
    return -torch.cat(parts), None if copying is None else copying.log_shares()[0].exp()
