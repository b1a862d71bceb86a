"""Sums over the predictions of two models, without all logits in memory.

Legend: N target pieces, O size of a model's hidden vectors, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nmt.kernels.precision import at_least_float32, without_autocast
from nmt.kernels.prediction import chunk_sizes


@dataclass(frozen=True)
class Predictions:
    """The distributions of a model for N pieces: softmax(hidden @ weight.T).

    Attributes:
        hidden: [N, O].
        weight: The weight [V, O] of the output layer. O may differ between two models.
    """

    hidden: Tensor
    weight: Tensor


def summed_by_piece(
    function: Callable[[Tensor, Tensor], Tensor],
    one: Predictions,
    other: Predictions,
    real: Tensor | None,
    temperature: float = 1.0,
) -> Tensor:
    """Return the sum over pieces of a function of the log-probabilities of two models.

    The backward pass computes each chunk of rows again, so only one chunk is in memory.

    Args:
        function: Two times log-probabilities [rows, V] -> [rows, V].
        one: The first model.
        other: The second model. Its predictions are for the same N pieces.
        real: [N] bool, False for rows that are not pieces, which add 0; None: all are pieces.
        temperature: Divides the logits.
    """

    def chunk(
        first: Tensor,
        first_weight: Tensor,
        second: Tensor,
        second_weight: Tensor,
        real: Tensor | None,
    ) -> Tensor:
        products = (first @ first_weight.type_as(first).T, second @ second_weight.type_as(second).T)
        log_probs = (
            (at_least_float32(logits) / temperature).log_softmax(dim=-1) for logits in products
        )
        with without_autocast(first):
            terms = function(*log_probs)
            return (terms if real is None else terms.masked_fill(~real[:, None], 0.0)).sum()

    # A chunk and its gradient need about ten float32 values per logit.
    rows = chunk_sizes.logits_rows(len(one.weight), one.hidden, bytes_per_logit=40)
    total = at_least_float32(one.hidden.new_zeros(()))
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
