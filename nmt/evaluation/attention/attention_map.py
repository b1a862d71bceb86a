"""The attention of one sentence pair, by pieces or by words, and the word links derived from it.

Legend: L decoder layers, H heads, T target length, S source length. The order of steps matters:

    map -> shifted() -> merged() -> without_eos()

Shifting moves rows by one decoder step, so it comes before pieces are averaged to words. Removing
EOS renormalizes the rows, so it comes last. A piece that attends almost only to EOS then adds
little weight to the average of its word. If its row were renormalized first, its small weights on
words would count as much as those of the other pieces.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.config.numbering import counted, exists, number_of, number_range
from nmt.data.word_links import Link
from nmt.decoding.translator import Translation
from nmt.errors import UserError
from nmt.text.special_tokens import EOS_SURFACE, WORD_START
from nmt.text.tokenizer import Tokenizer, TokenizerPair, word_groups

Weights = npt.NDArray[np.floating[Any]]

EOS_WORD = -1
"""The word number of EOS."""

_BYTES = re.compile(r"(?:<0x[0-9A-F]{2}>)+")


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """The weights with which each target piece or word attends to each source piece or word.

    Attributes:
        weights: [L, H, T, S].
        source: The S labels of the columns.
        target: The T labels of the rows.
        source_words: The number of each column's word in the sentence, from 0, ascending;
            `EOS_WORD` for EOS, which is last.
        target_words: The number of each row's word, likewise.

    Raises:
        ValueError: The shapes of the weights and the labels differ.
    """

    weights: Weights
    source: list[str]
    target: list[str]
    source_words: list[int]
    target_words: list[int]

    def __post_init__(self) -> None:
        expected = (len(self.target), len(self.source))
        numbered = (len(self.target_words), len(self.source_words))
        if self.weights.ndim != 4 or self.weights.shape[2:] != expected or numbered != expected:
            raise ValueError(
                f"weights of shape {self.weights.shape} do not fit {expected[0]} target and "
                f"{expected[1]} source labels with {numbered[0]} and {numbered[1]} word numbers"
            )

    def shifted(self) -> "AttentionMap":
        """Return the map in which each target piece has the row of the next decoder step.

        In that step the piece is the decoder's input. A Transformer often attends to the source of
        a piece only in that step (Chen et al. 2020, section 3). EOS is never an input, so the map
        has no row for it.

        Raises:
            ValueError: The map has no row of EOS.
        """
        if not self.target_words or self.target_words[-1] != EOS_WORD:
            raise ValueError("a map without the row of EOS cannot be shifted")
        return AttentionMap(
            self.weights[:, :, 1:],
            self.source,
            self.target[:-1],
            self.source_words,
            self.target_words[:-1],
        )

    def merged(self) -> "AttentionMap":
        """Merge pieces to words: sum weights over source pieces, average over target pieces.

        If the rows of the pieces sum to 1, so do the rows of the words.
        """
        columns, rows = _word_starts(self.source_words), _word_starts(self.target_words)
        weights = np.add.reduceat(self.weights, columns, axis=3) if columns else self.weights
        if rows:
            pieces = np.diff([*rows, len(self.target)]).astype(self.weights.dtype)
            weights = np.add.reduceat(weights, rows, axis=2) / pieces[:, None]
        return AttentionMap(
            weights,
            _word_labels(self.source, columns),
            _word_labels(self.target, rows),
            [self.source_words[i] for i in columns],
            [self.target_words[i] for i in rows],
        )

    def without_eos(self) -> "AttentionMap":
        """Remove the row and column of EOS, then divide each row by its sum unless that is 0."""
        columns, rows = _count_words(self.source_words), _count_words(self.target_words)
        weights = self.weights[:, :, :rows, :columns]
        sums = weights.sum(axis=3, keepdims=True)
        return AttentionMap(
            weights / np.where(sums > 0, sums, 1),
            self.source[:columns],
            self.target[:rows],
            self.source_words[:columns],
            self.target_words[:rows],
        )

    def layer_head(self, layer: int, head: int | None) -> Weights:
        """Return the weights [T, S] of a head, or the mean of a layer's heads if ``head`` is None.

        ``layer`` and ``head`` are indices; negative ones count from the last.

        Raises:
            UserError: The layer or head does not exist.
        """
        layers, heads = self.weights.shape[:2]
        check_layer_head(layer, head, layers, heads)
        chosen = self.weights[layer]
        return np.asarray(chosen.mean(axis=0) if head is None else chosen[head])

    def links(self, layer: int, head: int | None, threshold: float = 1.0) -> frozenset[Link]:
        """Link every target word to the source word with the greatest weight.

        With a ``threshold`` below 1, also link it to each source word with at least ``threshold``
        times that weight. EOS is not a word: neither its row nor its column has links. A row
        without weight on words has no link. A map of pieces is merged first.

        Returns:
            Pairs (source word, target word): the numbers of words in their sentences, from 0.

        Raises:
            UserError: The layer or head does not exist.
        """
        words = self if self._is_of_words() else self.merged()
        rows, columns = _count_words(words.target_words), _count_words(words.source_words)
        weights = words.layer_head(layer, head)[:rows, :columns]
        if weights.size == 0:
            return frozenset()
        chosen = (weights >= threshold * weights.max(axis=1, keepdims=True)) & (weights > 0)
        if threshold == 1:  # the first of several equal weights
            chosen &= chosen.cumsum(axis=1) == 1
        return frozenset(
            (words.source_words[column], words.target_words[row])
            for row, column in np.argwhere(chosen).tolist()
        )

    def _is_of_words(self) -> bool:
        return all(len(set(w)) == len(w) for w in (self.source_words, self.target_words))


def check_layer_head(layer: int, head: int | None, layers: int, heads: int) -> None:
    """Check that there is a layer and a head of these indices among `layers` and `heads`.

    Raises:
        UserError: One of them does not exist; the message gives the valid range of numbers.
    """
    check_number("layer", number_of(layer), layers)
    check_number("head", number_of(head or 0), heads)


def check_number(noun: str, number: int, count: int) -> None:
    """Check that a layer or head of this number exists among ``count``.

    Raises:
        UserError: It does not; the message gives the valid range.
    """
    if not exists(number, count):
        raise UserError(
            f"{noun} {number} does not exist: the model's attention has {counted(count, noun)}; "
            f"{number_range(count)}"
        )


def hypothesis_map(
    translation: Translation, tokenizers: TokenizerPair, rank: int = 0
) -> AttentionMap:
    """Return the attention map of a hypothesis, with the weights that beam search computed.

    A piece that starts with ``▁`` begins a target word. If the model reads features and no text,
    the columns are regions.

    Args:
        translation: A translation made with ``need_weights``.
        tokenizers: The tokenizers of its model.
        rank: The rank of the hypothesis; 0 is the best.

    Raises:
        UserError: The model has no attention.
    """
    hypothesis = translation.hypotheses[rank]
    if hypothesis.weights is None:
        raise UserError("this model has no attention over the source, so it has no weights to draw")
    if not hypothesis.of_text:
        return hypothesis_region_map(translation, tokenizers, rank)
    _, source_words = tokenizers.source.encode_words(translation.source)
    target_words = word_groups(tokenizers.target.pieces(hypothesis.ids))
    return piece_map(
        hypothesis.weights.float().cpu().numpy(),
        tokenizers,
        (translation.source_ids, source_words),
        (hypothesis.ids, target_words),
    )


Encoded = tuple[list[int], list[int]]
"""Piece ids without EOS, and the word number of each, as `Tokenizer.encode_words` returns them."""


def piece_map(
    weights: Weights, tokenizers: TokenizerPair, source: Encoded, target: Encoded
) -> AttentionMap:
    """Return the attention map of weights [L, H, T, S] for these pieces; T and S count EOS."""
    return AttentionMap(
        weights,
        _labels(tokenizers.source, source[0]),
        _labels(tokenizers.target, target[0]),
        [*source[1], EOS_WORD],
        [*target[1], EOS_WORD],
    )


def region_map(weights: Weights, tokenizers: TokenizerPair, target: Encoded) -> AttentionMap:
    """Return the attention map of weights [L, H, T, R] over R regions; T counts EOS.

    Column r is region r, and its word number is r.
    """
    count = weights.shape[3]
    return AttentionMap(
        weights,
        [f"region {number}" for number in range(1, count + 1)],
        _labels(tokenizers.target, target[0]),
        list(range(count)),
        [*target[1], EOS_WORD],
    )


def hypothesis_region_map(
    translation: Translation, tokenizers: TokenizerPair, rank: int = 0
) -> AttentionMap:
    """Return the attention map of a hypothesis over regions; see `hypothesis_map`.

    Raises:
        UserError: The model reads no features, or has no attention.
    """
    hypothesis = translation.hypotheses[rank]
    if hypothesis.region_weights is None:
        raise UserError("this model attends to no regions, so it has no weights over them to draw")
    weights = hypothesis.region_weights.float().cpu().numpy()
    words = word_groups(tokenizers.target.pieces(hypothesis.ids))
    return region_map(weights, tokenizers, (hypothesis.ids, words))


def _labels(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    return [*tokenizer.pieces(ids), EOS_SURFACE]


def _word_starts(words: Sequence[int]) -> list[int]:
    """Return the index of the first piece of each word."""
    return [i for i, word in enumerate(words) if i == 0 or words[i - 1] != word]


def _count_words(words: Sequence[int]) -> int:
    """Return the number of labels before EOS."""
    return len(words) - bool(words and words[-1] == EOS_WORD)


def _word_labels(labels: Sequence[str], starts: Sequence[int]) -> list[str]:
    """Join the pieces of each word; byte pieces such as ``<0xE2>`` become characters."""
    joined = ["".join(labels[start:end]) for start, end in pairwise([*starts, len(labels)])]
    return [_BYTES.sub(_decode, word).replace(WORD_START, "") or WORD_START for word in joined]


def _decode(byte_pieces: re.Match[str]) -> str:
    digits = byte_pieces[0].replace("<0x", "").replace(">", "")
    return bytes.fromhex(digits).decode("utf-8", errors="replace")
