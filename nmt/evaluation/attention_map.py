"""Attention of one sentence pair with the pieces or words it connects; word links read from it.

Legend: L decoder layers, H heads, T target length, S source length. The order of steps matters:

    map -> shifted() -> merged() -> without_eos()

A shift is one of decoder steps, so it comes before steps are averaged to words. Removing EOS comes
last: where a piece of a word looks at EOS alone, its little remaining weight counts little in the
word's average; renormalised first, that remainder would count as much as a piece that looked at
words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.data.word_links import Link
from nmt.decoding.translator import Translation
from nmt.errors import UserError
from nmt.text.special_tokens import EOS_SURFACE, WORD_START
from nmt.text.tokenizer import Tokenizer, TokenizerPair, word_groups

Weights = npt.NDArray[np.floating[Any]]

EOS_WORD = -1
"""The word number of the end of a sentence."""

_BYTES = re.compile(r"(?:<0x[0-9A-F]{2}>)+")


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """What each target piece, or word, took from each of the source.

    Attributes:
        weights: [L, H, T, S].
        source: The S labels of the columns.
        target: The T labels of the rows.
        source_words: For each column the number of its word in the sentence, from 0, ascending;
            `EOS_WORD` for EOS, which stands last.
        target_words: Likewise for each row.

    Raises:
        ValueError: The weights do not fit the labels.
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
                f"weights {self.weights.shape} do not fit {expected[0]} target and {expected[1]} "
                f"source labels, of {numbered[0]} and {numbered[1]} numbered words"
            )

    def shifted(self) -> "AttentionMap":
        """Read each target piece's row a step later, when it is the decoder's input.

        A Transformer often looks for a piece's source when it has just written it (Chen et al.
        2020, section 3). The row of EOS, which is never an input, falls away.

        Raises:
            ValueError: The map has no row of EOS left to shift from.
        """
        if not self.target_words or self.target_words[-1] != EOS_WORD:
            raise ValueError("only a map that still has its row of EOS can be shifted")
        return AttentionMap(
            self.weights[:, :, 1:],
            self.source,
            self.target[:-1],
            self.source_words,
            self.target_words[:-1],
        )

    def merged(self) -> "AttentionMap":
        """Join pieces to words: weights summed over source pieces, averaged over target pieces.

        The sum of a row is then the mean of its pieces' sums, so what summed to 1 still does.
        """
        columns, rows = _first_of_each(self.source_words), _first_of_each(self.target_words)
        weights = np.add.reduceat(self.weights, columns, axis=3) if columns else self.weights
        if rows:
            pieces = np.diff([*rows, len(self.target)]).astype(self.weights.dtype)
            weights = np.add.reduceat(weights, rows, axis=2) / pieces[:, None]
        return AttentionMap(
            weights,
            _spell(self.source, columns),
            _spell(self.target, rows),
            [self.source_words[i] for i in columns],
            [self.target_words[i] for i in rows],
        )

    def without_eos(self) -> "AttentionMap":
        """Remove the row and the column of EOS; rows then sum to 1 again, or stay all zeros."""
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
        """Return the weights [T, S] of a head, or the mean of a layer's heads for None.

        Layers and heads count from 0; negative numbers from the last.

        Raises:
            UserError: There is no such layer or head.
        """
        layers, heads = self.weights.shape[:2]
        check_layer_head(layer, head, layers, heads)
        chosen = self.weights[layer]
        return np.asarray(chosen.mean(axis=0) if head is None else chosen[head])

    def links(self, layer: int, head: int | None, threshold: float = 1.0) -> frozenset[Link]:
        """Link every target word to the source word with the greatest weight.

        With a ``threshold`` below 1, also to all that have at least this share of that weight. EOS
        is no word: its row gives no link and its column takes none, however heavy. A row whose
        weights on words are all zero gives none either. A map of pieces is merged first.

        Returns:
            (source word, target word), numbered as in the sentences.

        Raises:
            UserError: There is no such layer or head.
        """
        words = self if self._is_of_words() else self.merged()
        rows, columns = _count_words(words.target_words), _count_words(words.source_words)
        weights = words.layer_head(layer, head)[:rows, :columns]
        if weights.size == 0:
            return frozenset()
        chosen = (weights >= threshold * weights.max(axis=1, keepdims=True)) & (weights > 0)
        if threshold == 1:  # of equals the first
            chosen &= chosen.cumsum(axis=1) == 1
        return frozenset(
            (words.source_words[column], words.target_words[row])
            for row, column in np.argwhere(chosen).tolist()
        )

    def _is_of_words(self) -> bool:
        return all(len(set(w)) == len(w) for w in (self.source_words, self.target_words))


def check_layer_head(layer: int, head: int | None, layers: int, heads: int) -> None:
    """Refuse a layer or a head that does not exist.

    Raises:
        UserError: It says how many there are.
    """
    for name, number, count in (("layer", layer, layers), ("head", head or 0, heads)):
        if not -count <= number < count:
            plural = name if count == 1 else f"{name}s"
            raise UserError(
                f"{name} {number} does not exist: the model attends with {count} {plural}, "
                f"numbered from 0 to {count - 1}, or from -{count} to -1"
            )


def hypothesis_map(
    translation: Translation, tokenizers: TokenizerPair, rank: int = 0
) -> AttentionMap:
    """Return the map of a hypothesis as the search saw it; its words begin with ``▁``.

    Args:
        translation: Made with ``need_weights``.
        tokenizers: Those it was made with.
        rank: Which hypothesis, the best being 0.

    Raises:
        UserError: The model has no attention.
    """
    hypothesis = translation.hypotheses[rank]
    if hypothesis.weights is None:
        raise UserError("this model has no attention over the source, so there is none to draw")
    _, source_words = tokenizers.source.encode_words(translation.source)
    target_words = word_groups(tokenizers.target.pieces(hypothesis.ids))
    return piece_map(
        hypothesis.weights.float().cpu().numpy(),
        tokenizers,
        (translation.source_ids, source_words),
        (hypothesis.ids, target_words),
    )


Encoded = tuple[list[int], list[int]]
"""Piece ids without EOS, and for each the number of its word; `Tokenizer.encode_words` gives it."""


def piece_map(
    weights: Weights, tokenizers: TokenizerPair, source: Encoded, target: Encoded
) -> AttentionMap:
    """Return the map of weights [L, H, T, S], T and S counting EOS, on these pieces."""
    return AttentionMap(
        weights,
        _labels(tokenizers.source, source[0]),
        _labels(tokenizers.target, target[0]),
        [*source[1], EOS_WORD],
        [*target[1], EOS_WORD],
    )


def _labels(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    return [*tokenizer.pieces(ids), EOS_SURFACE]


def _first_of_each(words: Sequence[int]) -> list[int]:
    """Return where each word begins."""
    return [i for i, word in enumerate(words) if i == 0 or words[i - 1] != word]


def _count_words(words: Sequence[int]) -> int:
    """Count the labels before EOS."""
    return len(words) - bool(words and words[-1] == EOS_WORD)


def _spell(labels: Sequence[str], starts: Sequence[int]) -> list[str]:
    joined = ["".join(labels[start:end]) for start, end in pairwise([*starts, len(labels)])]
    return [_BYTES.sub(_decode, word).replace(WORD_START, "") or WORD_START for word in joined]


def _decode(byte_pieces: re.Match[str]) -> str:
    digits = byte_pieces[0].replace("<0x", "").replace(">", "")
    return bytes.fromhex(digits).decode("utf-8", errors="replace")
