"""Forced decoding of given translations, for their attention: batched by length, given in order.

Legend: B batch, L layers, H heads, T target, S source length.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np
import torch

from nmt.data.batch import collate
from nmt.data.length_batches import batches_by_length
from nmt.data.word_links import Link
from nmt.errors import UserError
from nmt.evaluation.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention_map import AttentionMap, Encoded, Weights, piece_map
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import TokenizerPair

_CHUNK_BATCHES = 16  # batches of pairs read ahead, so that those of like length meet
_BATCH_TOKENS = 4096  # so that a batch of long sentences does not hold too many weights

Result = TypeVar("Result")


class Aligner:
    """A model that is forced onto translations, in float32.

    Attributes:
        layers: Decoder layers that attend.
        heads: Heads of each.
    """

    def __init__(
        self, model: TranslationModel, tokenizers: TokenizerPair, batch_size: int = 64
    ) -> None:
        """Force a model, on the device where it is, ``batch_size`` pairs at a time at most.

        Raises:
            UserError: The model has no attention.
        """
        if not model.decoder.attends:
            raise UserError(
                "this model has no attention over the source, so there is none to show or to align "
                "by; train one whose decoder attends"
            )
        self._model = model.eval()
        self._tokenizers = tokenizers
        self._batch_size = batch_size
        self.layers, self.heads = self.force([[]], [[]])[0].shape[:2]

    def maps(self, pairs: Iterable[tuple[str, str]]) -> Iterator[AttentionMap]:
        """Yield the map of each pair's pieces, words numbered as spaces separate them."""
        return self.read(pairs, lambda attention: attention)

    def links(
        self, pairs: Iterable[tuple[str, str]], reading: AlignmentExtractor
    ) -> Iterator[frozenset[Link]]:
        """Yield the word links of each pair; none where a side is blank."""
        return self.read(pairs, reading.links)

    def read(
        self, pairs: Iterable[tuple[str, str]], read: Callable[[AttentionMap], Result]
    ) -> Iterator[Result]:
        """Yield what a function makes of each pair's map, in order.

        Pairs are taken a chunk at a time and maps dropped as soon as they are read, so memory does
        not grow with the number of pairs.
        """
        stream = iter(pairs)
        while chunk := list(islice(stream, _CHUNK_BATCHES * self._batch_size)):
            yield from self._read_chunk(chunk, read)

    def force(self, sources: Sequence[list[int]], targets: Sequence[list[int]]) -> list[Weights]:
        """Return the weights [L, H, T, S] of one batch of piece ids, without pads.

        Ids come without BOS and EOS; T and S count EOS.
        """
        device = self._model.output.weight.device
        batch = collate(sources, targets).to(device)
        inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
        with torch.inference_mode():
            weights = self._model(*inputs, need_weights=True).weights
        rows = weights.float().cpu().numpy()
        return [
            row[:, :, : len(target) + 1, : len(source) + 1]
            for row, source, target in zip(rows, sources, targets, strict=True)
        ]

    def _read_chunk(
        self, pairs: Sequence[tuple[str, str]], read: Callable[[AttentionMap], Result]
    ) -> list[Result]:
        sources = [self._tokenizers.source.encode_words(source) for source, _ in pairs]
        targets = [self._tokenizers.target.encode_words(target) for _, target in pairs]
        results: dict[int, Result] = {}
        for rows in self._batches(sources, targets):
            forced = self.force([sources[i][0] for i in rows], [targets[i][0] for i in rows])
            for i, weights in zip(rows, forced, strict=True):
                results[i] = read(piece_map(weights, self._tokenizers, sources[i], targets[i]))
        return [results[i] for i in range(len(pairs))]

    def _batches(
        self, sources: Sequence[Encoded], targets: Sequence[Encoded]
    ) -> Iterator[list[int]]:
        lengths = [np.array([len(ids) for ids, _ in side]) for side in (sources, targets)]
        order = np.arange(len(sources))
        for rows in batches_by_length(lengths[0], lengths[1], order, _BATCH_TOKENS):
            for start in range(0, len(rows), self._batch_size):
                yield rows[start : start + self._batch_size].tolist()
