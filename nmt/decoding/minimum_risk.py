"""Minimum-Bayes-risk decoding over samples (Kumar & Byrne 2004; Eikema & Aziz 2020, section 6).

The translation is the sample that is most similar to all samples: argmax over h of the mean over r
of chrF(h, r), where h and r are samples. chrF (Popovic 2015) equals the sentence chrF of sacreBLEU.
N samples need N² values of chrF, so all values are computed together from counts of n-grams.

Legend: D different samples, G different n-grams of one order.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MOST_SAMPLES = 1000
"""The greatest number of samples of a sentence. All pairs are compared."""

_ORDER, _BETA = 6, 2

Array = npt.NDArray[np.float64]


def expected_chrf(texts: Sequence[str]) -> dict[str, float]:
    """Return the expected chrF2 of each different text against all samples, from 0 to 100.

    Args:
        texts: The samples of one sentence, in the order of the draws.

    Returns:
        The different texts, best first. Texts with equal values are in the order of the draws.
    """
    shares = Counter(texts)
    different = list(shares)
    weights = np.array([shares[text] for text in different]) / len(texts)
    expected = pairwise_chrf(different) @ weights
    order = np.argsort(-expected, kind="stable")
    return {different[i]: float(expected[i]) for i in order}


def pairwise_chrf(texts: Sequence[str]) -> Array:
    """Return the chrF2 [D, D] of each text (rows) against each reference (columns)."""
    size = len(texts)
    precision, recall, orders = (np.zeros((size, size)) for _ in range(3))
    joined = ["".join(text.split()) for text in texts]
    for order in range(1, _ORDER + 1):
        counts = _ngram_counts(joined, order)  # [D, G]
        totals = counts.sum(1)
        matches = np.stack([np.minimum(row, counts).sum(1) for row in counts])
        both = (totals[:, None] > 0) & (totals > 0)
        precision += np.where(both, matches / np.maximum(totals, 1)[:, None], 0)
        recall += np.where(both, matches / np.maximum(totals, 1), 0)
        orders += both
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    divisor = _BETA**2 * precision + recall
    return 100 * (1 + _BETA**2) * precision * recall / np.where(divisor > 0, divisor, 1)


def _ngram_counts(texts: Sequence[str], order: int) -> npt.NDArray[np.int64]:
    """Return the count of each n-gram in each text, [D, G]."""
    columns: dict[str, int] = {}
    counted = []
    for text in texts:
        ngrams = Counter(text[i : i + order] for i in range(len(text) - order + 1))
        counted.append({columns.setdefault(n, len(columns)): c for n, c in ngrams.items()})
    counts = np.zeros((len(texts), len(columns)), dtype=np.int64)
    for row, of_text in enumerate(counted):
        counts[row, list(of_text)] = list(of_text.values())
    return counts
