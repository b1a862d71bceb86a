"""Whether configurations differ in BLEU by more than chance, in training and in the test text.

A paired test of two models (`significance`) shows whether these models differ on such texts. Two
seeds of one configuration often differ, too. A difference between configurations must therefore
also exceed the variation between seeds (Clark et al. 2011).

Legend: N sentences, K counts of a sentence, R resamples.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sacrebleu.metrics.base import Metric

from nmt.evaluation.metrics import MetricName, check_counts, sacrebleu_metric
from nmt.evaluation.resampling import (
    Numbers,
    Scores,
    resampled_scores,
    score_of_counts,
    sentence_counts,
)
from nmt.reporting.score_names import SIGNIFICANT

_RESAMPLES = 1000
_DRAWS = 10  # draws of t for each resample of the text
_SEED = 12345  # sacreBLEU's


@dataclass(frozen=True)
class ConfigurationScore:
    """BLEU of the runs of one configuration.

    Attributes:
        mean: Mean over the runs.
        difference: ``mean`` minus that of the first configuration; None for the first one.
        p_value: The probability of a difference at least as large if both configurations were
            equally good; None for the first one, and if both have one run only, because the
            variation between seeds is then unknown.
    """

    mean: float
    difference: float | None = None
    p_value: float | None = None

    @property
    def significant(self) -> bool:
        """Whether the difference from the first configuration is significant."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


def compare_configurations(
    groups: Sequence[Sequence[Sequence[str]]],
    references: Sequence[Sequence[str]],
    tokenizer: str = "13a",
) -> list[ConfigurationScore]:
    """Compare each configuration with the first one.

    Args:
        groups: For each configuration, the translations of each of its runs.
        references: One list per translator, each with one reference per sentence.
        tokenizer: BLEU's tokenizer.

    Raises:
        UserError: The numbers of sentences differ, or the tokenizer cannot be loaded.
    """
    for group in groups:
        for run in group:
            check_counts(run, references)
    metric = sacrebleu_metric(MetricName.BLEU, tokenizer, references)
    counts = [[sentence_counts(metric, run, None) for run in group] for group in groups]
    return compare_counts(metric, counts)


def compare_counts(metric: Metric, groups: Sequence[Sequence[Numbers]]) -> list[ConfigurationScore]:
    """Compare each configuration with the first one, as `compare_configurations` does.

    Args:
        metric: BLEU.
        groups: For each configuration, the counts [N, K] of each of its runs, of
            `nmt.evaluation.resampling.sentence_counts`.
    """
    random = np.random.default_rng(_SEED)
    scores = [[score_of_counts(metric, run) for run in group] for group in groups]
    runs = [run for group in groups for run in group]
    rows = iter(resampled_scores(metric, runs, _RESAMPLES, random))
    resampled = [np.mean([next(rows) for _ in group], axis=0) for group in groups]
    first = statistics.fmean(scores[0])
    found = [ConfigurationScore(first)]
    for group, of_text in zip(scores[1:], resampled[1:], strict=True):
        difference = statistics.fmean(group) - first
        p_value = None
        if len(scores[0]) + len(group) > 2:
            p_value = difference_p_value(scores[0], group, of_text - resampled[0], random)
        found.append(ConfigurationScore(statistics.fmean(group), difference, p_value))
    return found


def difference_p_value(
    first: Sequence[float],
    second: Sequence[float],
    of_text: Scores,
    random: np.random.Generator,
) -> float:
    """Return the p-value of the difference of two means over seeds.

    If both configurations were equally good, the difference of the means would be a sum of two
    random variables:

    * from the text: its differences over resamples (Koehn 2004), minus their mean;
    * from training: t s sqrt(1/n + 1/m), where s is the pooled standard deviation of n and m
      seeds, and t has Student's distribution with n + m - 2 degrees of freedom (Student 1908).

    Args:
        first: The scores of n runs.
        second: The scores of m runs; n + m is at least 3.
        of_text: [R], the difference of the means on each resample of the text.
        random: Generator of t.

    Raises:
        ValueError: Each group has one run only.
    """
    freedom = len(first) + len(second) - 2
    if freedom < 1:
        raise ValueError("one seed each: the spread of seeds is unknown")
    difference = statistics.fmean(second) - statistics.fmean(first)
    squares = sum(
        (score - statistics.fmean(group)) ** 2 for group in (first, second) for score in group
    )
    error = math.sqrt(squares / freedom * (1 / len(first) + 1 / len(second)))
    by_text = np.repeat(of_text - of_text.mean(), _DRAWS)
    by_seeds = error * random.standard_t(freedom, size=len(by_text))
    as_large = int((abs(by_text + by_seeds) >= abs(difference)).sum())
    return (as_large + 1) / (len(by_text) + 1)
