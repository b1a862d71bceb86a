"""Whether two systems differ by more than chance: the paired tests of sacreBLEU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from sacrebleu.metrics.base import Metric
from sacrebleu.significance import PairedTest, Result

from nmt.evaluation.metrics import MetricName, check_counts, sacrebleu_metric
from nmt.evaluation.resampling import (
    Numbers,
    interval,
    resampled_scores,
    sacrebleu_seed,
    score_of_counts,
    sentence_counts,
)
from nmt.reporting.score_names import SIGNIFICANT


class PairedTestName(StrEnum):
    """The test of the difference between the first system and each other one."""

    BOOTSTRAP = "bootstrap"
    RANDOMIZATION = "randomization"


RESAMPLES = 1000


@dataclass(frozen=True)
class PairedScore:
    """A score of one of several systems.

    Attributes:
        value: The score of the text, in percent.
        p_value: The probability of a difference at least as large as that from the first system if
            both were equally good. None for the first system and for a score equal to its score,
            because sacreBLEU gives equal scores its smallest p-value.
        mean: The mean over bootstrap resamples.
        interval: Half the width of the 95 % confidence interval around the mean.
    """

    value: float
    p_value: float | None
    mean: float | None
    interval: float | None

    @property
    def significant(self) -> bool:
        """Whether the difference from the first system is significant."""
        return self.p_value is not None and self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class PairedScores:
    """Scores of several systems by one metric.

    Attributes:
        signature: The settings of the metric and of the test.
        scores: One per system, in their order.
    """

    signature: str
    scores: list[PairedScore]


def paired_scores(
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    metrics: Sequence[MetricName],
    test: PairedTestName,
    *,
    tokenizer: str = "13a",
    samples: int = 0,
) -> dict[MetricName, PairedScores]:
    """Compare each system with the first one, as ``sacrebleu --paired-bs`` and ``--paired-ar`` do.

    The bootstrap test follows Koehn 2004, approximate randomization Riezler and Maxwell 2005. The
    environment variable SACREBLEU_SEED is the seed, 12345 by default.

    Args:
        systems: Translations of the same sentences by the name of the system; at least two.
        references: One list per translator, each with one reference per sentence.
        metrics: The scores that are compared.
        test: The test.
        tokenizer: BLEU's tokenizer.
        samples: Resamples or trials; 0: 1,000 resamples or 10,000 trials.

    Raises:
        UserError: The numbers of sentences differ, the tokenizer cannot be loaded, or
            SACREBLEU_SEED is neither a whole number nor ``none``.
    """
    sacrebleu_seed()  # raises a UserError before any work
    for translations in systems.values():
        check_counts(translations, references)
    found = {}
    for name in metrics:
        if test is PairedTestName.RANDOMIZATION:
            tested = _randomization(name, systems, references, tokenizer, samples)
        else:
            metric = sacrebleu_metric(name, tokenizer, references)
            counts = [sentence_counts(metric, texts, None) for texts in systems.values()]
            tested = bootstrap(metric, counts, samples or RESAMPLES)
        found[name] = tested
    return found


def bootstrap(
    metric: Metric, systems: Sequence[Numbers], resamples: int = RESAMPLES
) -> PairedScores:
    """Compare each system with the first one by paired bootstrap resampling (Koehn 2004).

    Args:
        metric: A metric of sacreBLEU.
        systems: The counts of each system, of `nmt.evaluation.resampling.sentence_counts`.
        resamples: Their number.

    Raises:
        UserError: SACREBLEU_SEED is neither a whole number nor ``none``.
    """
    seed = sacrebleu_seed()
    values = [score_of_counts(metric, counts) for counts in systems]
    scores = resampled_scores(metric, systems, resamples, np.random.default_rng(seed))
    signature = metric.get_signature()
    signature.update("seed", str(seed).lower())
    signature.update("bs", resamples)
    found = []
    for value, of_system in zip(values, scores, strict=True):
        differences = abs(of_system - scores[0])
        as_large = int((differences - differences.mean() > abs(value - values[0])).sum())
        p_value = None if value == values[0] else (as_large + 1) / (resamples + 1)
        found.append(PairedScore(value, p_value, *interval(of_system)))
    return PairedScores(str(signature), found)


def _randomization(
    name: MetricName,
    systems: Mapping[str, Sequence[str]],
    references: Sequence[Sequence[str]],
    tokenizer: str,
    trials: int,
) -> PairedScores:
    """Compare each system with the first one by sacreBLEU's approximate randomization."""
    tested = PairedTest(
        [(system, list(texts)) for system, texts in systems.items()],
        {name: sacrebleu_metric(name, tokenizer)},
        [list(reference) for reference in references],
        test_type="ar",
        n_samples=trials,
    )
    signatures, scores = tested()
    ((label, signature),) = signatures.items()
    first, *others = (_paired(r) for r in scores[label] if not isinstance(r, str))
    others = [o if o.value != first.value else replace(o, p_value=None) for o in others]
    return PairedScores(str(signature), [first, *others])


def _paired(result: Result) -> PairedScore:
    values = (result.p_value, result.mean, result.ci)
    p_value, mean, interval = (None if value is None else float(value) for value in values)
    return PairedScore(float(result.score), p_value, mean, interval)
