"""A finished translation and its score.

Legend: L layers with attention, H heads, T target pieces with EOS, S source pieces with EOS.
"""

import math
from dataclasses import dataclass

from torch import Tensor

from nmt.config.schema import DecodingConfig, LengthNormalization

LEAST_ATTENTION = 1e-6
"""A smaller sum of attention counts as this number: the logarithm of 0 would be infinite."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation.

    Attributes:
        ids: Target piece ids, without BOS and EOS.
        log_prob: Natural logarithm of the translation's probability, EOS included.
        score: Hypotheses are ranked by it; see `ranking_score`.
        weights: [L, H, T, S] attention weights of L layers with H heads if they were requested. T
            counts EOS, and S counts the source's EOS.
        region_weights: [L, H, T, R] attention weights over R regions, if the model reads features
            and they were requested.
    """

    ids: list[int]
    log_prob: float
    score: float
    weights: Tensor | None
    region_weights: Tensor | None = None


def length_penalty(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6) ^ alpha, the length penalty of GNMT (Wu et al. 2016, eq. 14).

    Args:
        length: Number of target pieces, EOS included.
        alpha: Strength. 0 is no penalty; larger values favor longer translations.
    """
    return float(((5 + length) / 6) ** alpha)


def ranking_score(
    log_prob: float, length: int, weights: Tensor | None, options: DecodingConfig
) -> float:
    """Return s(Y, X) = log P(Y | X) / lp(Y) + cp(X; Y) (Wu et al. 2016, eq. 14).

    Args:
        log_prob: log P, with the repetition penalty.
        length: Number of target pieces, EOS included.
        weights: [L, H, T, S] attention weights; None: the score has no coverage penalty.
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

    p_ij is the attention of target piece j to source piece i, the mean of all layers and heads. EOS
    of the source, which has no translation, is left out.

    Args:
        weights: [L, H, T, S].
        beta: Strength; larger values favor translations that attend to every source piece.
    """
    attended = weights.double().mean((0, 1)).sum(0)[:-1]  # [S - 1]
    return beta * math.fsum(attended.clamp(LEAST_ATTENTION, 1.0).log().tolist())
