"""Divergences of the predictions of two models.

Legend: N target pieces, O size of a model's hidden vectors, V vocabulary.
"""

from torch import Tensor

from nmt.kernels.prediction.prediction_pairs import Predictions, summed_by_piece


def symmetric_divergence(
    one: Predictions, other: Predictions, real: Tensor | None = None
) -> Tensor:
    """Return the sum over pieces of (KL(P || Q) + KL(Q || P)) / 2 (Liang et al. 2021, eq. 2).

    Args:
        one: P.
        other: Q.
        real: [N] bool, False for rows that are not pieces, which add 0; None: all are pieces.
    """

    def halves(first: Tensor, second: Tensor) -> Tensor:
        return (first.exp() - second.exp()) * (first - second)

    return summed_by_piece(halves, one, other, real) / 2


def soft_cross_entropy(
    student: Predictions, teacher: Predictions, temperature: float, real: Tensor | None = None
) -> Tensor:
    """Return the sum over pieces of T² times the cross-entropy of the student, given the teacher.

    Kim & Rush 2016, section 3.1, where both distributions are softmax(logits / T) with the
    temperature T. T² compensates for the smaller gradients (Hinton et al. 2015, section 2). The
    teacher gets no gradient. See `symmetric_divergence` for ``real``.
    """

    def cross_entropy(log_probs: Tensor, teacher_log_probs: Tensor) -> Tensor:
        return -(teacher_log_probs.detach().exp() * log_probs)

    return temperature**2 * summed_by_piece(cross_entropy, student, teacher, real, temperature)
