"""Teacher forcing of given translations to obtain their attention, batched by length.

Legend: B batch, L layers, H heads, T target, S source length.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
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

_CHUNK_BATCHES = 16  # batches of pairs read ahead, so that pairs of similar length share one
_BATCH_TOKENS = 4096  # limits the memory of the weights of long sentences

Result = TypeVar("Result")

Advance = Callable[[int], None]
"""Called with the number of pairs so far."""


def _add(advance: Advance, before: int, done: int) -> None:
    advance(before + done)


def _silent(done: int) -> None:
    """Show nothing."""


class Aligner:
    """A model that is teacher-forced on given translations, in float32.

    Attributes:
        layers: Number of decoder layers that attend to the source.
        heads: Number of heads per layer.
    """

    def __init__(
        self, model: TranslationModel, tokenizers: TokenizerPair, batch_size: int = 64
    ) -> None:
        """Put the model into evaluation mode. A batch has at most ``batch_size`` pairs.

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
        self.layers, self.heads = self.teacher_forced_weights([[]], [[]])[0].shape[:2]

    def attention_maps(
        self, pairs: Iterable[tuple[str, str]], advance: Advance = _silent
    ) -> Iterator[AttentionMap]:
        """Yield the attention map of each (source, target) pair, with the pieces as its labels.

        Words are numbered as spaces separate them.
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
        depend on the number of pairs. `advance` is called after each batch with the number of pairs
        so far.
        """
        stream, done = iter(pairs), 0
        while chunk := list(islice(stream, _CHUNK_BATCHES * self._batch_size)):
            yield from self._apply_to_chunk(chunk, function, partial(_add, advance, done))
            done += len(chunk)

    def teacher_forced_weights(
        self, sources: Sequence[list[int]], targets: Sequence[list[int]]
    ) -> list[Weights]:
        """Return the weights [L, H, T, S] of each pair of a batch, without padding.

        The piece ids come without BOS and EOS; T and S count EOS.
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

    def _apply_to_chunk(
        self,
        pairs: Sequence[tuple[str, str]],
        function: Callable[[AttentionMap], Result],
        advance: Advance,
    ) -> list[Result]:
        sources = [self._tokenizers.source.encode_words(source) for source, _ in pairs]
        targets = [self._tokenizers.target.encode_words(target) for _, target in pairs]
        results: dict[int, Result] = {}
        for rows in self._batches(sources, targets):
            batch = [sources[i][0] for i in rows], [targets[i][0] for i in rows]
            for i, weights in zip(rows, self.teacher_forced_weights(*batch), strict=True):
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
