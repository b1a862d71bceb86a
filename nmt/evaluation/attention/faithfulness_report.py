"""The faithfulness of attention on a corpus: means over sentences with confidence intervals."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nmt.config.numbering import number_of
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.attention.faithfulness import PERMUTATIONS, Faithfulness, measure
from nmt.evaluation.attention.rank_correlation import (
    Mean,
    Values,
    kendall_tau,
    mean_with_confidence,
)

FEWEST_PIECES = 3
"""The least number of source pieces for which an order of importance is informative."""

MEASURES = ("erasure", "exhaustive", "gradient", "rollout")


@dataclass(frozen=True, eq=False)
class MeasuredSentence:
    """A sentence pair with the importance of its pieces.

    Attributes:
        source: The S pieces of the source, without EOS.
        target: The T pieces of the translation, with EOS.
        source_text: The sentence.
        target_text: Its translation.
        found: The measures of importance.
    """

    source: list[str]
    target: list[str]
    source_text: str
    target_text: str
    found: Faithfulness

    def agreement(self, name: str, other: str = "attention") -> float:
        """Return the mean of Kendall's tau over the target pieces; nan: undefined for all."""
        first, second = getattr(self.found, name), getattr(self.found, other)
        if first is None or second is None:
            return math.nan
        return _mean([kendall_tau(a, b) for a, b in zip(first, second, strict=True)])

    def share_of_same_best(self, name: str, other: str = "attention") -> float:
        """Return the share of target pieces for which two measures rank the same piece first.

        Of pieces with the same largest value, each measure chooses one at random, so a row counts
        with the probability that both choose the same one. The share is nan if a measure is
        missing.
        """
        first, second = getattr(self.found, name), getattr(self.found, other)
        if first is None or second is None:
            return math.nan
        largest, other_largest = (one == one.max(1, keepdims=True) for one in (first, second))
        both = (largest & other_largest).sum(1)
        return float((both / (largest.sum(1) * other_largest.sum(1))).mean())


@dataclass(frozen=True)
class FaithfulnessReport:
    """Figures over all sentences.

    Attributes:
        sentences: Number of sentences.
        pieces: Number of target pieces.
        layer: Number of the layer whose weights were read, from 1.
        head: Number of the head, from 1; None: the mean of the heads.
        agreement: Kendall's tau between the weights and each measure.
        same_best: Share of target pieces, from 0 to 1, for which the weights and the measure have
            the same most important source piece.
        among_measures: Kendall's tau between erasure and gradient.
        short: Number of sentences that are short enough for exhaustive erasure.
        erasures_agree: Kendall's tau between leave-one-out and exhaustive erasure; None: there is
            no short sentence.
        erasures_same_best: Share of target pieces for which both have the same most important
            source piece; None: there is no short sentence.
        permuted: The change of the prediction when the weights are permuted, from 0 to 1.
        uniform: The change of the prediction when the weights are equal, from 0 to 1.
        left_out: Number of sentences that were too short to measure.
    """

    sentences: int
    pieces: int
    layer: int
    head: int | None
    agreement: dict[str, Mean]
    same_best: dict[str, Mean]
    among_measures: Mean
    short: int
    erasures_agree: Mean | None
    erasures_same_best: Mean | None
    permuted: Mean
    uniform: Mean
    left_out: int

    def plain(self) -> dict[str, Any]:
        """Return the figures as JSON values, with sentences that explain them."""
        return {**asdict(self), "permutations": PERMUTATIONS, "reading": list(reading(self))}


def measure_sentences(
    translator: Translator,
    pairs: Sequence[tuple[str, str]],
    *,
    layer: int,
    head: int | None,
    advance: Callable[[int], None] = lambda done: None,
) -> list[MeasuredSentence]:
    """Measure sentence pairs; those whose source has fewer than 3 pieces are left out.

    Args:
        translator: The model and its tokenizers.
        pairs: Sentences and their translations.
        layer: Index of the decoder layer among those that attend.
        head: Index of the head; None: the mean of the layer's heads.
        advance: Called after each pair with the number of pairs so far.
    """
    source_side, target_side = translator.tokenizers.source, translator.tokenizers.target
    measured = []
    for number, (source, target) in enumerate(pairs, start=1):
        source_ids, target_ids = source_side.encode(source), target_side.encode(target)
        if len(source_ids) >= FEWEST_PIECES:
            found = measure(translator.model, source_ids, target_ids, layer=layer, head=head)
            labels = source_side.pieces(source_ids), [*target_side.pieces(target_ids), "</s>"]
            measured.append(MeasuredSentence(*labels, source, target, found))
        advance(number)
    return measured


def summarize(
    sentences: Sequence[MeasuredSentence], *, layer: int, head: int | None, left_out: int
) -> FaithfulnessReport:
    """Return means over sentences.

    Raises:
        UserError: All sentences are too short.
    """
    if not sentences:
        raise UserError(
            f"every sentence has fewer than {FEWEST_PIECES} pieces, which is too short for an "
            "order of importance; give longer sentences"
        )
    known = [
        name for name in MEASURES if any(getattr(one.found, name) is not None for one in sentences)
    ]
    short = sum(one.found.exhaustive is not None for one in sentences)

    def agree(name: str, other: str = "attention") -> Mean:
        return mean_with_confidence([one.agreement(name, other) for one in sentences])

    def same_best(name: str, other: str = "attention") -> Mean:
        return mean_with_confidence([one.share_of_same_best(name, other) for one in sentences])

    return FaithfulnessReport(
        sentences=len(sentences),
        pieces=sum(len(one.target) for one in sentences),
        layer=number_of(layer),
        head=None if head is None else number_of(head),
        agreement={name: agree(name) for name in known},
        same_best={name: same_best(name) for name in known},
        among_measures=agree("erasure", "gradient"),
        short=short,
        erasures_agree=agree("erasure", "exhaustive") if short else None,
        erasures_same_best=same_best("erasure", "exhaustive") if short else None,
        permuted=mean_with_confidence([float(one.found.permuted.mean()) for one in sentences]),
        uniform=mean_with_confidence([float(one.found.uniform.mean()) for one in sentences]),
        left_out=left_out,
    )


def reading(report: FaithfulnessReport) -> Iterator[str]:
    """Yield sentences that explain the figures."""
    tau = report.agreement["erasure"]
    if not math.isfinite(tau.value):
        yield (
            "The order of the weights cannot be compared with the order of erasure: for each "
            "target piece, all weights or all effects are equal."
        )
    elif tau.value <= 0 or tau.low <= 0:
        yield "The order of the weights does not agree with the order of erasure."
    else:
        yield (
            f"The order of the weights agrees {_strength(tau.value)} with the order of erasure "
            f"(tau {tau.value:.2f}; 0 is chance, 1 is the same order)."
        )
    best = report.same_best["erasure"].value
    yield (
        f"The source piece with the largest weight is the one whose removal lowers the "
        f"log-probability most in {best:.0%} of the target pieces."
    )
    changed = report.permuted.value
    if changed < 0.05:
        yield (
            f"Permuted weights hardly change the prediction ({changed:.2f} of 1), so it does not "
            "depend on which piece has which weight."
        )
    else:
        degree = "somewhat" if changed < 0.3 else "much"
        yield (
            f"Permuted weights change the prediction {degree} ({changed:.2f} of 1), so it depends "
            "on which piece has which weight."
        )
    yield (
        "These figures do not show that the weights explain the prediction: other layers and "
        "residual connections also transmit information."
    )
    if report.sentences == 1:
        yield (
            "These are figures of one sentence, so they have no confidence interval and do not "
            "describe the model: measure at least 30 sentences."
        )
    else:
        yield "In parentheses: the 95 % confidence interval, from resamples of the sentences."


def _strength(tau: float) -> str:
    return "weakly" if tau < 0.3 else "moderately" if tau < 0.6 else "strongly"


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the finite values; nan without any."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def relative(values: Values) -> Values:
    """Return importances [T, S] divided by the largest of their row; negative ones become 0."""
    kept = np.maximum(values, 0.0)
    largest = kept.max(axis=1, keepdims=True)
    return np.asarray(np.divide(kept, largest, out=np.zeros_like(kept), where=largest > 0))
