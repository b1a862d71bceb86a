"""Scores of bootstrap resamples of a text, equal to those that sacreBLEU draws, in less memory.

sacreBLEU copies the counts of all sentences for each resample. Here a resample is a vector of how
often it contains each sentence, so the sums of a resample are a matrix product. Counts and scores
of single resamples need private methods of sacreBLEU; tests compare the results with its command.

Legend: N sentences, K counts of a sentence, R resamples.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics.base import Metric

from nmt.errors import UserError

Numbers = npt.NDArray[np.float64]
Scores = npt.NDArray[np.floating[Any]]

_BLOCK = 1 << 22  # draws at once


def sacrebleu_seed() -> int | None:
    """Return the seed of resamples, of the environment variable SACREBLEU_SEED; None: any seed.

    Raises:
        UserError: The variable is neither a whole number nor ``none``.
    """
    seed = os.environ.get("SACREBLEU_SEED", "12345")
    if seed.lower() == "none":
        return None
    if not seed.isdecimal():
        raise UserError(f"the environment variable SACREBLEU_SEED is {seed}; give a whole number")
    return int(seed)


def sentence_counts(
    metric: Metric, translations: Sequence[str], references: Sequence[Sequence[str]] | None
) -> Numbers:
    """Return the counts [N, K] whose sums give the score of a text.

    Args:
        metric: A metric of sacreBLEU.
        translations: One per sentence.
        references: One list per translator; None: those that the metric was made with.
    """
    rows = metric._extract_corpus_statistics(translations, references)
    return np.array(rows, dtype=np.float64)


def score_of_counts(metric: Metric, counts: Numbers) -> float:
    """Return the score of the text that has these counts [N, K]."""
    return float(metric._aggregate_and_compute(counts.tolist()).score)


def resampled_scores(
    metric: Metric, systems: Sequence[Numbers], resamples: int, random: np.random.Generator
) -> list[Scores]:
    """Return the scores [R] of each system on the same resamples of the text (Koehn 2004).

    Args:
        metric: A metric of sacreBLEU.
        systems: The counts [N, K] of each system.
        resamples: R.
        random: Draws the resamples; the same state gives those of sacreBLEU.
    """
    found: list[list[float]] = [[] for _ in systems]
    counts, size = np.concatenate(systems, axis=1), systems[0].shape[1]
    for drawn in _draws(len(counts), resamples, random):
        for sums in (drawn @ counts).astype(np.float32):  # sacreBLEU's dtype
            for number, scores in enumerate(found):
                own = sums[number * size : (number + 1) * size]
                scores.append(metric._compute_score_from_stats(own).score)
    return [np.array(scores) for scores in found]  # chrF and TER are float32, as in sacreBLEU


def _draws(sentences: int, resamples: int, random: np.random.Generator) -> Iterator[Numbers]:
    """Yield blocks [B, N] of resamples: how often each contains each sentence."""
    block = max(1, _BLOCK // sentences)
    for start in range(0, resamples, block):
        chosen = random.choice(
            sentences, size=(min(block, resamples - start), sentences), replace=True
        )
        yield np.array([np.bincount(row, minlength=sentences) for row in chosen], dtype=np.float64)


def interval(scores: Scores) -> tuple[float, float]:
    """Return the mean of resampled scores [R] and half the width of their 95 % interval."""
    ordered = np.sort(scores)
    outside = len(ordered) // 40
    width = ordered[-outside - 1] - ordered[outside]
    return float(ordered.mean()), float(0.5 * width)
