"""Whether two systems differ by more than chance: the paired tests of sacreBLEU."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sacrebleu.significance import PairedTest, Result

from nmt.errors import UserError
from nmt.evaluation.metrics import MetricName, check_counts, sacrebleu_metric
from nmt.reporting.score_names import SIGNIFICANT


class PairedTestName(StrEnum):
    """The test of the difference between the first system and each other one."""

    BOOTSTRAP = "bootstrap"
    RANDOMIZATION = "randomization"


_OF_SACREBLEU = {PairedTestName.BOOTSTRAP: "bs", PairedTestName.RANDOMIZATION: "ar"}


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
    _check_seed()
    for translations in systems.values():
        check_counts(translations, references)
    found = {}
    for name in metrics:  # one at a time: a test holds all resamples of a metric in memory
        tested = PairedTest(
            [(system, list(texts)) for system, texts in systems.items()],
            {name: sacrebleu_metric(name, tokenizer)},
            [list(reference) for reference in references],
            test_type=_OF_SACREBLEU[test],
            n_samples=samples,
        )
        signatures, scores = tested()
        ((label, signature),) = signatures.items()
        first, *others = (_paired(r) for r in scores[label] if not isinstance(r, str))
        found[name] = PairedScores(
            str(signature),
            [first, *(o if o.value != first.value else replace(o, p_value=None) for o in others)],
        )
    return found


def _paired(result: Result) -> PairedScore:
    values = (result.p_value, result.mean, result.ci)
    p_value, mean, interval = (None if value is None else float(value) for value in values)
    return PairedScore(float(result.score), p_value, mean, interval)


def _check_seed() -> None:
    seed = os.environ.get("SACREBLEU_SEED", "12345")
    if seed.lower() != "none" and not seed.isdecimal():
        raise UserError(f"the environment variable SACREBLEU_SEED is {seed}; give a whole number")
