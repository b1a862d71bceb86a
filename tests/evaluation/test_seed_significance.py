"""Configurations with several seeds: the p-value has the distribution that its definition gives."""

import math
import random as plain_random

import numpy as np
import pytest

from nmt.evaluation.metrics import MetricName, corpus_score, sacrebleu_metric
from nmt.evaluation.resampling import score_of_counts, sentence_counts
from nmt.evaluation.seed_significance import compare_configurations, difference_p_value

NO_TEXT = np.zeros(10_000)
"""Resamples of a text without luck; of 10 draws each, a share has an error below 0.0016."""


def _generator() -> np.random.Generator:
    return np.random.default_rng(1)


def _student_2(t: float) -> float:
    """Return P(|T| >= t) of 2 degrees of freedom: F(t) = 1/2 + t / (2 sqrt(2 + t²))."""
    return 1 - t / math.sqrt(2 + t * t)


def _student_4(t: float) -> float:
    """Return P(|T| >= t) of 4 degrees of freedom, whose density is 3/8 (1 + t²/4)^(-5/2)."""
    u = 1 + t * t / 4
    return 1 - 3 / 4 * t / math.sqrt(u) * (1 - t * t / (12 * u))


@pytest.mark.parametrize("shift", [0.3, 1.0, 3.0])
def test_without_luck_of_the_text_it_is_students_test(shift: float) -> None:
    for seeds, expected in (([0.0, 1.0], _student_2), ([0.0, 1.0, 2.0], _student_4)):
        n = len(seeds)
        found = difference_p_value(seeds, [s + shift for s in seeds], NO_TEXT, _generator())
        t = shift / math.sqrt(np.var(seeds, ddof=1) * 2 / n)
        assert found == pytest.approx(expected(t), abs=0.006)


def test_one_seed_beside_several_uses_their_spread() -> None:
    """n = 3 and m = 1: the error is s sqrt(1/3 + 1), with 2 degrees of freedom."""
    found = difference_p_value([0.0, 1.0, 2.0], [4.0], NO_TEXT, _generator())
    assert found == pytest.approx(_student_2(3 / math.sqrt(1 / 3 + 1)), abs=0.006)


def test_without_luck_of_training_it_is_the_bootstrap_of_the_text() -> None:
    of_text = _generator().normal(5.0, 1.0, size=1000)
    found = difference_p_value([1.0, 1.0], [2.5, 2.5], of_text, _generator())
    share = (abs(of_text - of_text.mean()) >= 1.5).mean()
    assert found == pytest.approx(share, abs=2e-4)


def test_equal_configurations_differ_as_rarely_as_the_level_says() -> None:
    """0.05 of 400 comparisons have a standard error of 0.011; three of them are allowed."""
    generator = _generator()
    of_text = generator.normal(0, 0.3, size=100)
    below = 0
    for _ in range(400):
        luck_of_text = generator.normal(0, 0.3)
        first = generator.normal(40, 0.5, size=3)
        second = generator.normal(40 + luck_of_text, 0.5, size=3)
        below += difference_p_value(list(first), list(second), of_text, generator) < 0.05
    assert below / 400 <= 0.05 + 3 * 0.011


def test_two_configurations_of_one_run_each_have_no_p_value() -> None:
    """A third configuration has several runs, but its spread is not theirs."""
    reference = [_texts(0, 1)]
    one, other = [_texts(0.2, 1)], [_texts(0.6, 2)]
    several = [_texts(0.2, seed) for seed in (3, 4)]
    _, second, third = compare_configurations([one, other, several], reference)
    assert second.difference is not None
    assert (second.p_value, second.significant) == (None, False)
    assert third.p_value is not None


def test_one_seed_each_is_refused() -> None:
    with pytest.raises(ValueError, match="one seed each"):
        difference_p_value([1.0], [2.0], NO_TEXT, _generator())


def _texts(share: float, seed: int) -> list[str]:
    """Return the reference with a share of its words exchanged."""
    draw = plain_random.Random(seed)
    words = ("der", "die", "Hund", "Haus", "Mann", "geht", "sieht", "auf", "in", "Garten")
    text = plain_random.Random(0)
    lines = [text.choices(words, k=text.randint(3, 12)) for _ in range(80)]
    return [
        " ".join(draw.choice(words) if draw.random() < share else word for word in line)
        for line in lines
    ]


@pytest.mark.parametrize("tokenizer", ["13a", "char"])
def test_sums_of_counts_give_the_bleu_of_the_text(tokenizer: str) -> None:
    references = [_texts(0, 1), _texts(0.3, 2)]
    for share in (0.0, 0.2, 1.0):
        metric = sacrebleu_metric(MetricName.BLEU, tokenizer, references)
        found = score_of_counts(metric, sentence_counts(metric, _texts(share, 3), None))
        own = corpus_score(MetricName.BLEU, _texts(share, 3), references)
        if tokenizer == "13a":
            assert found == pytest.approx(own.value, abs=1e-11)
        else:
            assert found > own.value or share == 0.0


def test_a_configuration_that_is_worse_differs_and_another_seed_does_not() -> None:
    reference = [_texts(0, 1)]
    good = [_texts(0.20, seed) for seed in (1, 2, 3)]
    like = [_texts(0.20, seed) for seed in (4, 5, 6)]
    bad = [_texts(0.60, seed) for seed in (7, 8, 9)]
    first, same, worse = compare_configurations([good, like, bad], reference)
    assert (first.difference, first.p_value, first.significant) == (None, None, False)
    bleu = [corpus_score(MetricName.BLEU, text, reference).value for text in bad]
    assert worse.mean == pytest.approx(sum(bleu) / 3)
    assert worse.difference == pytest.approx(worse.mean - first.mean)
    assert worse.significant
    assert not same.significant
