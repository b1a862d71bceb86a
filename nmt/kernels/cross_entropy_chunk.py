"""The loss of a chunk of rows, and its gradients, in few passes over float32 logits on a CPU.

A pass that normalises all logits is not needed. Let x be the logits of a row and m the greatest of
them. E = exp(x - m) is computed in place, and Z is the sum of E. The probabilities are E / Z. The
gradient of the hidden vectors is computed from E and then divided by Z. The gradient of the weight
is computed from E and the hidden vectors divided by Z. Both divide O numbers per row; a
normalisation of all logits would divide V numbers. The passes between the products cover a few rows
at a time, which stay in the nearest cache.

Legend: O decoder output size, V vocabulary, R rows of a chunk.
"""

import torch
from torch import Tensor

from nmt.kernels import chunk_sizes


def exponentials_(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Replace logits [R, V] in place by E = exp(x - m), and by 0 in the column of the target.

    Args:
        logits: [R, V], float32 or float64.
        targets: [R].

    Returns:
        The log-probability of each target, the sum of E over the other columns, and the sum of E
        over all columns, Z; each [R, 1].
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
    # Near p = 1, log p is computed from 1 - p, which is more exact than p.
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
    """Write the gradient of a chunk's rows, and add its part to the gradient of the weight.

    Args:
        errors: [R, V], the gradient of the logits, multiplied by Z if Z is given.
        rows: [R, O], the hidden vectors.
        weight: [V, O].
        total: Z, [R, 1], or None.
        grad_rows: [R, O], written to.
        grad_weight: [V, O], added to.
    """
    torch.mm(errors, weight, out=grad_rows)
    if total is None:
        grad_weight += errors.T @ rows
        return
    grad_rows.div_(total)
    torch.addmm(grad_weight, errors.T, rows / total, out=grad_weight)


def put(values: Tensor, columns: Tensor, new: Tensor) -> None:
    """Write the numbers new [R] into the given column of each row of values [R, V].

    `Tensor.scatter_` would copy all of the values, twice.
    """
    rows = torch.arange(len(columns), device=columns.device)
    values[rows, columns] = new
