"""A finished translation and its score."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation.

    Attributes:
        ids: Target piece ids, without BOS and EOS.
        log_prob: Natural logarithm of the translation's probability, EOS included.
        score: ``log_prob`` divided by the length penalty. Hypotheses are ranked by it.
        weights: [L, H, T, S] attention weights of L layers with H heads if they were requested. T
            counts EOS, and S counts the source's EOS.
    """

    ids: list[int]
    log_prob: float
    score: float
    weights: Tensor | None


def length_penalty(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6) ^ alpha, the length penalty of GNMT (Wu et al. 2016, eq. 14).

    Args:
        length: Number of target pieces, EOS included.
        alpha: Strength. 0 is no penalty; larger values favor longer translations.
    """
    return float(((5 + length) / 6) ** alpha)
