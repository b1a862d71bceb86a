"""How far two models' words are apart, without ever holding all logits.

Legend: N target pieces, O size of a model's hidden vectors, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_CHUNK_ELEMENTS = 4_000_000  # logits of one model in memory at a time


@dataclass(frozen=True)
class Words:
    """What one model says of N pieces: softmax(hidden @ weight.T).

    Attributes:
        hidden: [N, O].
        weight: [V, O], the output layer's; O differs from model to model.
    """

    hidden: Tensor
    weight: Tensor


def symmetric_divergence(one: Words, other: Words) -> Tensor:
    """Return the sum over pieces of (KL(P || Q) + KL(Q || P)) / 2 (Liang et al. 2021, eq. 2)."""

    def halves(first: Tensor, second: Tensor) -> Tensor:
        return ((first.exp() - second.exp()) * (first - second)).sum() / 2

    return _summed(halves, one, other)


def soft_cross_entropy(student: Words, teacher: Words, temperature: float) -> Tensor:
    """Return the sum over pieces of T^2 times the student's cross-entropy to the teacher.

    Kim & Rush 2016, section 3.1, with both distributions softened to softmax(logits / T); the
    square keeps gradients as large as without (Hinton et al. 2015, section 2). The teacher gets no
    gradient.
    """

    def cross_entropy(mine: Tensor, given: Tensor) -> Tensor:
        return -(given.detach().exp() * mine).sum()

    loss = _summed(cross_entropy, student, teacher, temperature)
    return temperature**2 * loss


def _summed(
    function: Callable[[Tensor, Tensor], Tensor],
    one: Words,
    other: Words,
    temperature: float = 1.0,
) -> Tensor:
    """Sum a function of two models' log-probabilities [rows, V], made again for the gradient."""

    def chunk(*tensors: Tensor) -> Tensor:
        first, first_weight, second, second_weight = tensors
        log_probs = (
            ((hidden @ weight.to(hidden.dtype).T).float() / temperature).log_softmax(dim=-1)
            for hidden, weight in ((first, first_weight), (second, second_weight))
        )
        with torch.autocast(first.device.type, enabled=False):
            return function(*log_probs)

    rows = max(1, _CHUNK_ELEMENTS // len(one.weight))
    total = torch.zeros((), dtype=torch.float32, device=one.hidden.device)
    for start in range(0, len(one.hidden), rows):
        part = slice(start, start + rows)
        tensors = one.hidden[part], one.weight, other.hidden[part], other.weight
        total = total + checkpoint(chunk, *tensors, use_reentrant=False, preserve_rng_state=False)
    return total
