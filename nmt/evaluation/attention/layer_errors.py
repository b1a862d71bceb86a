"""Alignment error rate (AER) of every decoder layer, from the weights that validation computes."""

from collections.abc import Iterable

from torch import Tensor

from nmt.data.corpus import ParallelText
from nmt.evaluation.attention.alignment_error import AlignmentScore
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor, links_by_extractor
from nmt.evaluation.attention.attention_map import piece_map
from nmt.text.tokenizer import TokenizerPair

Scores = dict[AlignmentExtractor, AlignmentScore]


class LayerErrors:
    """AER of each layer's attention, averaged over its heads, without and with a shift.

    Legend: B batch, L layers, H heads, T target, S source length.

    Attributes:
        scores: The score so far of each extractor.
    """

    def __init__(self, tokenizers: TokenizerPair, text: ParallelText) -> None:
        """Compare with the gold links of `text`, which must have gold links."""
        self._tokenizers = tokenizers
        self._text = text
        self._gold = text.alignment or []
        self.scores: Scores = {}

    def add(self, weights: Tensor, indices: Iterable[int]) -> None:
        """Add the weights [B, L, H, T, S] of a batch; `indices` are its B pairs in the text."""
        rows = weights.float().mean(dim=2, keepdim=True).cpu().numpy()
        extractors = [
            AlignmentExtractor(layer, None, shift)
            for layer in range(weights.size(1))
            for shift in (False, True)
        ]
        for row, index in zip(rows, map(int, indices), strict=True):
            source = self._tokenizers.source.encode_words(self._text.source[index])
            target = self._tokenizers.target.encode_words(self._text.target[index])
            real = row[:, :, : len(target[0]) + 1, : len(source[0]) + 1]
            attention = piece_map(real, self._tokenizers, source, target)
            found = links_by_extractor(extractors, attention)
            for extractor, links in zip(extractors, found, strict=True):
                score = self.scores.get(extractor, AlignmentScore())
                self.scores[extractor] = score.with_pair(links, self._gold[index])

    def scalars(self) -> dict[str, float]:
        """Return ``attention/layer-N/aer`` and ``.../aer_shifted``, N from 1, each from 0 to 1."""
        return {
            f"attention/layer-{extractor.layer + 1}/aer{'_shifted' if extractor.shift else ''}": (
                score.error_rate
            )
            for extractor, score in self.scores.items()
        }


def joined_scores(parts: Iterable[Scores]) -> Scores:
    """Return the scores of a corpus from those of its parts."""
    joined: Scores = {}
    for part in parts:
        for extractor, score in part.items():
            joined[extractor] = joined.get(extractor, AlignmentScore()).joined(score)
    return joined
