"""Hypotheses and their scores.

Legend: L layers with attention, H heads, T target pieces with EOS, S source pieces with EOS.
"""

import math
from dataclasses import dataclass, field

from torch import Tensor

from nmt.config.schema import DecodingConfig, LengthNormalization

LEAST_ATTENTION = 1e-6
"""The least sum of attention in the coverage penalty, because the logarithm of 0 is infinite."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation.

    Attributes:
        ids: Target piece ids, without BOS and EOS.
        log_prob: Natural logarithm of the probability, EOS included.
        score: The score by which search ranks hypotheses; see `ranking_score`.
        weights: Attention weights [L, H, T, S] if requested; T and S include EOS.
        region_weights: Attention weights [L, H, T, R] over R regions, if requested and the model
            reads features.
        at_limit: Whether it has the greatest length of its search, so that EOS was forced.
    """

    ids: list[int]
    log_prob: float
    score: float
    weights: Tensor | None
    region_weights: Tensor | None = None
    at_limit: bool = field(default=False, compare=False)

    @property
    def of_text(self) -> bool:
        """Whether there are weights over a source text; a model of features alone has none."""
        return self.weights is not None and self.weights.size(-1) > 0


def length_penalty(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6) ^ alpha, the length penalty of GNMT (Wu et al. 2016, eq. 14).

    Args:
        length: Number of target pieces, EOS included.
        alpha: Strength. With 0, there is no penalty. Larger values favor longer translations.
    """
    return float(((5 + length) / 6) ** alpha)


def ranking_score(
    log_prob: float, length: int, weights: Tensor | None, options: DecodingConfig
) -> float:
    """Return s(Y, X) = log P(Y | X) / lp(Y) + cp(X; Y) (Wu et al. 2016, eq. 14).

    Args:
        log_prob: log P plus the repetition penalty.
        length: Number of target pieces, EOS included.
        weights: The weights of `coverage_penalty`; None: the score has no coverage penalty.
        options: Kind and strength of both penalties.
    """
    value = log_prob / length_divisor(length, options.length_penalty, options.length_normalization)
    if options.coverage_penalty and weights is not None:
        value += coverage_penalty(weights, options.coverage_penalty)
    return value


def length_divisor(length: int, alpha: float, normalization: str) -> float:
    """Return the divisor of a log-probability; see `nmt.config.schema.LengthNormalization`."""
    if normalization == LengthNormalization.AVERAGE:
        return float(length)
    return length_penalty(length, 0.0 if normalization == LengthNormalization.NONE else alpha)


def coverage_penalty(weights: Tensor, beta: float) -> float:
    """Return beta * sum over i of log(min(sum over j of p_ij, 1)) (Wu et al. 2016, eq. 14).

    p_ij is the attention of target piece j to source piece i, the mean over all layers and heads.
    The sum over i leaves out EOS of the source, which has no translation, and the pieces that the
    decoder cannot attend to, such as previous sentences behind a hierarchical encoder. If the model
    reads no text, i runs over regions.

    Args:
        weights: [L, H, T, C] to the C positions i.
        beta: Strength; larger values favor translations that attend to every source piece.
    """
    attended = weights.double().mean((0, 1)).sum(0)  # [C]
    return beta * math.fsum(attended.clamp(LEAST_ATTENTION, 1.0).log().tolist())
