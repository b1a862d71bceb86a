"""Divergences of the predictions of two models, computed in chunks of logits.

Legend: N target pieces, O size of a model's hidden vectors, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nmt.kernels import chunk_sizes
from nmt.kernels.precision import without_autocast


@dataclass(frozen=True)
class Predictions:
    """The distributions of a model for N pieces: softmax(hidden @ weight.T).

    Attributes:
        hidden: [N, O].
        weight: The weight [V, O] of the output layer. O may differ between two models.
    """

    hidden: Tensor
    weight: Tensor


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

    return _summed(halves, one, other, real) / 2


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

    return temperature**2 * _summed(cross_entropy, student, teacher, real, temperature)


def _summed(
    function: Callable[[Tensor, Tensor], Tensor],
    one: Predictions,
    other: Predictions,
    real: Tensor | None,
    temperature: float = 1.0,
) -> Tensor:
    """Sum a function of the log-probabilities of two models, [rows, V] -> [rows, V].

    The backward pass computes each chunk of rows again, so only one chunk is in memory.
    """

    def chunk(
        first: Tensor,
        first_weight: Tensor,
        second: Tensor,
        second_weight: Tensor,
        real: Tensor | None,
    ) -> Tensor:
        log_probs = (
            ((hidden @ weight.type_as(hidden).T).float() / temperature).log_softmax(dim=-1)
            for hidden, weight in ((first, first_weight), (second, second_weight))
        )
        with without_autocast(first):
            terms = function(*log_probs)
            return (terms if real is None else terms.masked_fill(~real[:, None], 0.0)).sum()

    # A chunk and its gradient need about ten float32 values per logit.
    rows = chunk_sizes.logits_rows(len(one.weight), one.hidden, bytes_per_logit=40)
    total = torch.zeros((), device=one.hidden.device)
    for start in range(0, len(one.hidden), rows):
        part = slice(start, start + rows)
        tensors = one.hidden[part], one.weight, other.hidden[part], other.weight
        total = total + checkpoint(
            chunk,
            *tensors,
            None if real is None else real[part],
            use_reentrant=False,
            preserve_rng_state=False,
        )
    return total
