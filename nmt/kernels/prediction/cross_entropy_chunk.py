"""The loss of a chunk of rows, and its gradients, in few passes over float32 logits on a CPU.

Let x be the logits of a row and m the greatest logit. E = exp(x - m) replaces x in place. Z is the
sum of E, so the probabilities are E / Z. But E is not divided by Z. The gradient of the hidden
vectors is computed from E, then divided by Z. The gradient of the weight is computed from E and the
hidden vectors divided by Z. Both divide O values per row, not V. The elementwise operations run on
a few rows at a time, which stay in the cache of a core.

Legend: O decoder output size, V vocabulary, R rows of a chunk.
"""

import torch
from torch import Tensor

from nmt.kernels.prediction import chunk_sizes


def exponentials_(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Replace logits [R, V] in place by E = exp(x - m), but by 0 in the column of the target.

    Args:
        logits: [R, V], float32 or float64.
        targets: [R].

    Returns:
        The log-probability of each target, the sum of E over the other columns, and Z, the sum of E
        over all columns; each [R, 1].
    """
    columns = targets[:, None]
    scores = logits.gather(1, columns)
    greatest, others = torch.empty_like(scores), torch.empty_like(scores)
    size = chunk_sizes.rows_in_cache(logits)
    for start in range(0, len(logits), size):
        rows = slice(start, start + size)
        block, largest = logits[rows], greatest[rows]
        torch.amax(block, dim=1, keepdim=True, out=largest)
        block.sub_(largest).exp_()
        put(block, targets[rows], block.new_zeros(len(block)))
        torch.sum(block, dim=1, keepdim=True, out=others[rows])
    distance = scores - greatest
    at_target = distance.exp()
    total = at_target + others
    # If p > 1/2, compute log p from the other terms, because p near 1 is rounded.
    near_one = -torch.log1p(others / at_target)
    log_probs = torch.where(others < at_target, near_one, distance - total.log())
    return log_probs, others, total


def add_gradients(
    errors: Tensor,
    rows: Tensor,
    weight: Tensor,
    total: Tensor | None,
    grad_rows: Tensor,
    grad_weight: Tensor,
) -> None:
    """Write the gradient of the rows of a chunk, and add to the gradient of the weight.

    Args:
        errors: [R, V], the gradient of the logits, times Z if ``total`` is given.
        rows: [R, O], the hidden vectors.
        weight: [V, O].
        total: Z, [R, 1], or None.
        grad_rows: [R, O], overwritten.
        grad_weight: [V, O], updated in place.
    """
    torch.mm(errors, weight, out=grad_rows)
    if total is None:
        grad_weight += errors.T @ rows
        return
    grad_rows.div_(total)
    torch.addmm(grad_weight, errors.T, rows / total, out=grad_weight)


def put(values: Tensor, columns: Tensor, new: Tensor) -> None:
    """Write ``new`` [R] into column ``columns`` [R] of each row of values [R, V].

    `Tensor.scatter_` would copy all values twice.
    """
    rows = torch.arange(len(columns), device=columns.device)
    values[rows, columns] = new
