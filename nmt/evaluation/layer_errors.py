"""Alignment error rate of every decoder layer during validation, from weights already there."""

from collections.abc import Iterable

from torch import Tensor

from nmt.data.corpus import ParallelText
from nmt.evaluation.alignment_error import AlignmentScore
from nmt.evaluation.alignment_extractor import AlignmentExtractor, links_by_extractor
from nmt.evaluation.attention_map import piece_map
from nmt.text.tokenizer import TokenizerPair

Scores = dict[AlignmentExtractor, AlignmentScore]


class LayerErrors:
    """Error rates of the mean of each layer's heads, read at once and a step later.

    Legend: B batch, L layers, H heads, T target, S source length.

    Attributes:
        scores: So far, of each reading.
    """

    def __init__(self, tokenizers: TokenizerPair, text: ParallelText) -> None:
        """Compare with the word links of a split, which it has."""
        self._tokenizers = tokenizers
        self._text = text
        self._gold = text.alignment or []
        self.scores: Scores = {}

    def add(self, weights: Tensor, indices: Iterable[int]) -> None:
        """Add a batch of weights [B, L, H, T, S] of the pairs with these indices."""
        rows = weights.float().mean(dim=2, keepdim=True).cpu().numpy()
        readings = [
            AlignmentExtractor(layer, None, shift)
            for layer in range(weights.size(1))
            for shift in (False, True)
        ]
        for row, index in zip(rows, map(int, indices), strict=True):
            source = self._tokenizers.source.encode_words(self._text.source[index])
            target = self._tokenizers.target.encode_words(self._text.target[index])
            real = row[:, :, : len(target[0]) + 1, : len(source[0]) + 1]
            attention = piece_map(real, self._tokenizers, source, target)
            found = links_by_extractor(readings, attention)
            for reading, links in zip(readings, found, strict=True):
                score = self.scores.get(reading, AlignmentScore())
                self.scores[reading] = score.plus(links, self._gold[index])

    def scalars(self) -> dict[str, float]:
        """Return ``attention/layer-N/aer`` and ``.../aer_shifted``, N from 1, each from 0 to 1."""
        return {
            f"attention/layer-{reading.layer + 1}/aer{'_shifted' if reading.shift else ''}": (
                score.error_rate
            )
            for reading, score in self.scores.items()
        }


def joined_scores(parts: Iterable[Scores]) -> Scores:
    """Return the scores of several parts of a corpus as those of the whole."""
    joined: Scores = {}
    for part in parts:
        for reading, score in part.items():
            joined[reading] = joined.get(reading, AlignmentScore()).joined(score)
    return joined
