"""Computes the attention of given translations by teacher forcing, in batches of similar length.

Legend: B batch, L layers, H heads, T target, S source length.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np
import torch

from nmt.data.batches.batch import collate
from nmt.data.batches.length_batches import batches_by_length
from nmt.data.batches.regions import Regions
from nmt.data.features import Features
from nmt.data.word_links import Link
from nmt.decoding.batches import CHUNK_BATCHES
from nmt.decoding.sentence_features import check_feature_size, regions_of
from nmt.errors import UserError
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention.attention_map import (
    AttentionMap,
    Encoded,
    Weights,
    piece_map,
    region_map,
)
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair

_BATCH_TOKENS = 4096  # limits the memory of the weights of long sentences

Result = TypeVar("Result")

Advance = Callable[[int], None]
"""A function that is called with the number of pairs done so far."""


def _advance_after(advance: Advance, before: int, done: int) -> None:
    advance(before + done)


def _weights_of_empty_pair(model: TranslationModel) -> torch.Tensor:
    """Return the weights [1, L, H, 1, S] of an empty pair, whose shape shows L and H."""
    device = model.output.weight.device
    batch = collate([[]], [[]]).to(device)
    regions = None
    if model.feature_size is not None:
        values = torch.zeros(1, 1, model.feature_size, device=device)
        regions = Regions(values, torch.ones_like(values[..., 0], dtype=torch.bool))
    inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
    with torch.inference_mode():
        weights: torch.Tensor = model(*inputs, need_weights=True, regions=regions).weights
    return weights


def _silent(done: int) -> None:
    """Show nothing."""


class Aligner:
    """A model that is teacher-forced on given translations, in float32.

    With ``of_regions`` the maps have the regions of the features as columns, not the source pieces.

    Attributes:
        layers: Number of decoder layers that attend to the source.
        heads: Number of heads per layer.
    """

    def __init__(
        self,
        model: TranslationModel,
        tokenizers: TokenizerPair,
        batch_size: int = 64,
        features: Features | None = None,
        *,
        of_regions: bool = False,
    ) -> None:
        """Put the model into evaluation mode. A batch has at most ``batch_size`` pairs.

        ``features`` has one entry per pair, of the model's feature size. None: the model reads no
        features.

        Raises:
            UserError: The model has no attention.
        """
        if not model.decoder.attends:
            raise UserError(
                "this model has no attention over the source, so it has no weights to show and no "
                "alignment; train a model whose decoder attends"
            )
        self._model = model.eval()
        self._tokenizers = tokenizers
        self._batch_size = batch_size
        self._features = features
        self._of_regions = of_regions or not model.reads_text
        shape = _weights_of_empty_pair(model).shape
        self.layers, self.heads = shape[1:3]

    def with_features(self, features: Features | None) -> "Aligner":
        """Return an aligner of the same model in which pair i has the features i.

        Raises:
            UserError: The model reads features of another size, or none.
        """
        other = copy(self)
        other._features = features
        if features is not None:
            check_feature_size(self._model, features)
        return other

    def attention_maps(
        self, pairs: Iterable[tuple[str, str]], advance: Advance = _silent
    ) -> Iterator[AttentionMap]:
        """Yield the attention map of each (source, target) pair, with the pieces as its labels.

        Words are separated by spaces and numbered from 0.
        """
        return self.apply(pairs, lambda attention: attention, advance)

    def links(
        self,
        pairs: Iterable[tuple[str, str]],
        extractor: AlignmentExtractor,
        advance: Advance = _silent,
    ) -> Iterator[frozenset[Link]]:
        """Yield the word links of each pair. A pair with a blank side has none."""
        return self.apply(pairs, extractor.links, advance)

    def apply(
        self,
        pairs: Iterable[tuple[str, str]],
        function: Callable[[AttentionMap], Result],
        advance: Advance = _silent,
    ) -> Iterator[Result]:
        """Yield the function's result for the attention map of each pair, in order.

        Pairs are consumed in chunks, and each map is dropped after the call, so memory use does not
        depend on the number of pairs. `advance` is called after each batch.
        """
        stream, done = iter(pairs), 0
        while chunk := list(islice(stream, CHUNK_BATCHES * self._batch_size)):
            numbers = range(done, done + len(chunk))
            advance_all = partial(_advance_after, advance, done)
            yield from self._apply_to_chunk(chunk, numbers, function, advance_all)
            done += len(chunk)

    def teacher_forced_weights(
        self,
        sources: Sequence[list[int]],
        targets: Sequence[list[int]],
        numbers: Sequence[int] = (),
    ) -> list[Weights]:
        """Return the weights [L, H, T, S] of each pair of a batch, without padding.

        The piece ids exclude BOS and EOS; T and S include EOS. For attention to regions, S is their
        number. ``numbers`` are the indices of the pairs' features, if the model reads features.
        """
        device = self._model.output.weight.device
        batch = collate(sources, targets).to(device)
        regions = regions_of(self._features, numbers, device)
        inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
        with torch.inference_mode():
            weights = self._model(*inputs, need_weights=True, regions=regions).weights
        rows = weights.float().cpu().numpy()
        first, widths = 0, [len(source) + 1 for source in sources]
        if self._of_regions and regions is not None:
            first = batch.source_ids.size(1) if self._model.reads_text else 0
            widths = regions.mask.sum(1).tolist()
        return [
            row[:, :, : len(target) + 1, first : first + width]
            for row, width, target in zip(rows, widths, targets, strict=True)
        ]

    def _apply_to_chunk(
        self,
        pairs: Sequence[tuple[str, str]],
        numbers: Sequence[int],
        function: Callable[[AttentionMap], Result],
        advance: Advance,
    ) -> list[Result]:
        sources = [self._tokenizers.source.encode_words(source) for source, _ in pairs]
        targets = [self._tokenizers.target.encode_words(target) for _, target in pairs]
        results: dict[int, Result] = {}
        for rows in self._batches(sources, targets):
            batch = [sources[i][0] for i in rows], [targets[i][0] for i in rows]
            found = self.teacher_forced_weights(*batch, [numbers[i] for i in rows])
            for i, weights in zip(rows, found, strict=True):
                if self._of_regions:
                    attention = region_map(weights, self._tokenizers, targets[i])
                else:
                    attention = piece_map(weights, self._tokenizers, sources[i], targets[i])
                results[i] = function(attention)
            advance(len(results))
        return [results[i] for i in range(len(pairs))]

    def _batches(
        self, sources: Sequence[Encoded], targets: Sequence[Encoded]
    ) -> Iterator[list[int]]:
        lengths = [np.array([len(ids) for ids, _ in side]) for side in (sources, targets)]
        order = np.arange(len(sources))
        for rows in batches_by_length(lengths[0], lengths[1], order, _BATCH_TOKENS):
            for start in range(0, len(rows), self._batch_size):
                yield rows[start : start + self._batch_size].tolist()
