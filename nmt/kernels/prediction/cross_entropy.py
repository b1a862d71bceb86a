"""The output layer and label-smoothed cross-entropy, without all logits in memory.

Legend: N target pieces of a batch, O decoder output size, V vocabulary, R rows of a chunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.linear.linear_layer import padded_rows
from nmt.kernels.precision import at_least_float32, float32_product
from nmt.kernels.prediction import chunk_sizes
from nmt.kernels.prediction.cross_entropy_chunk import add_gradients, exponentials_, put


def plain_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Compute `projected_cross_entropy` from all logits [N, V]."""
    logits = at_least_float32(functional.linear(hidden, weight))
    smoothed = functional.cross_entropy(
        logits, targets, label_smoothing=label_smoothing, reduction="sum"
    )
    return smoothed, functional.cross_entropy(logits.detach(), targets, reduction="sum")


def projected_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    label_smoothing: float,
    *,
    ignores: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of the logits ``hidden @ weight.T``.

    The target distribution is 1 - e for the target plus e / V for every piece (Szegedy et al. 2016,
    section 7). The fast path computes a chunk of logits at a time, in the autocast dtype. It adds
    the loss to float32 sums. It also computes the gradients in the forward pass, so the backward
    pass only scales them. Smoothing adds the same term to the gradient of every logit, so this term
    is added once.

    Args:
        hidden: [N, O].
        weight: [V, O], of the output layer.
        targets: [N]; a row with the target -100, torch's ``ignore_index``, adds 0.
        label_smoothing: e.
        ignores: Whether targets may be -100.

    Returns:
        The smoothed sum, and the sum of the exact negative log-likelihood (no gradient), in nats.
        In training in bfloat16, the probability p of a piece is rounded to 8 bits. If p is above
        one half, 1 - p is rounded instead. Without a gradient, as in validation, both sums are
        computed from float32 logits. The backward pass multiplies the gradients by the gradient of
        the sum, in the dtype of the weight or of the hidden vectors. On a GPU, the gradient of the
        weight is summed in float32.
    """
    on_cpu = dispatch.on_cpu(hidden)
    if dispatch.cross_entropy_path() is KernelPath.PLAIN or (ignores and on_cpu):
        return plain_cross_entropy(hidden, weight, targets, label_smoothing)
    needs_gradient = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    dtype = dispatch.product_dtype(hidden)
    if on_cpu:
        smoothed, exact = _ProjectedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden, weight, targets, label_smoothing, dtype, needs_gradient
        )
        return smoothed, exact
    smoothed, exact = _FewLaunches.apply(  # type: ignore[no-untyped-call]
        hidden, weight, targets, label_smoothing, dtype, needs_gradient, ignores
    )
    return smoothed, exact


class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        needs_gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.hidden_dtype, count = hidden.dtype, len(hidden)
        rows = padded_rows(hidden, dtype)
        targets = functional.pad(targets, (0, len(rows) - count))
        sums = _Sums.zeros(rows, weight, needs_gradient)
        factor = weight.to(dtype)
        exact = torch.promote_types(dtype, torch.float32)
        mean = factor.mean(dim=0, dtype=exact)  # h · mean is the mean of the logits of h
        multiple = dispatch.TILE_ROWS  # chunks then need no padding
        size = chunk_sizes.logits_rows(len(weight), rows, multiple=multiple)
        with torch.autocast(rows.device.type, enabled=False):
            for start in range(0, len(rows), size):
                chunk = slice(start, start + size)
                _add_chunk(
                    sums, chunk, rows[chunk], factor, mean, targets[chunk, None], smoothing, count
                )
            if smoothing and sums.grad_rows is not None and sums.grad_weight is not None:
                sums.grad_rows -= (smoothing * mean).to(dtype)
                total = rows.sum(dim=0, dtype=exact)
                sums.grad_weight -= smoothing / len(weight) * total
        grad_hidden = None if sums.grad_rows is None else sums.grad_rows[:count]
        ctx.save_for_backward(grad_hidden, sums.grad_weight)
        ctx.mark_non_differentiable(sums.exact)
        return sums.smoothed, sums.exact

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        grad_hidden = grad_hidden.to(ctx.hidden_dtype) * grad_output
        return grad_hidden, grad_weight * grad_output, None, None, None, None


@dataclass
class _Sums:
    """Sums over chunks: both losses and, if needed, the gradients."""

    smoothed: Tensor
    exact: Tensor
    grad_rows: Tensor | None
    grad_weight: Tensor | None

    @classmethod
    def zeros(cls, rows: Tensor, weight: Tensor, needs_gradient: bool) -> "_Sums":
        exact = torch.promote_types(rows.dtype, torch.float32)
        smoothed = torch.zeros((), dtype=exact, device=rows.device)
        grad_rows = torch.empty_like(rows) if needs_gradient else None
        grad_weight = torch.zeros_like(weight) if needs_gradient else None
        return cls(smoothed, torch.zeros_like(smoothed), grad_rows, grad_weight)


def _add_chunk(
    sums: _Sums,
    chunk: slice,
    rows: Tensor,
    weight: Tensor,
    mean: Tensor,
    targets: Tensor,
    smoothing: float,
    count: int,
) -> None:
    """Add the loss and the gradients of one chunk to the sums.

    Args:
        sums: Updated in place.
        chunk: The rows of the chunk.
        rows: [R, O].
        weight: [V, O], in the dtype of the rows.
        mean: [O], the mean of the rows of the weight, in float32 at least.
        targets: [R, 1].
        smoothing: e.
        count: N; the rows after the first N are padding.
    """
    real = max(0, count - chunk.start)
    logits = rows @ weight.T
    if sums.grad_rows is None:
        logits = at_least_float32(logits)  # validation does not round the likelihood
    few_passes = logits.dtype == at_least_float32(logits[:0]).dtype
    scores = at_least_float32(logits.gather(1, targets))
    if few_passes:
        log_probs, others, total = exponentials_(logits, targets[:, 0])
        error, at_target = logits, smoothing * total - others
    else:
        error = logits.softmax(dim=1)  # probabilities; below, the target is subtracted
        likeliest = error.amax(dim=1, keepdim=True)
        put(error, targets[:, 0], error.new_zeros(len(targets)))
        others, greatest = error.sum(dim=1, keepdim=True), logits.amax(dim=1, keepdim=True)
        log_probs = log_likelihood(scores, greatest, likeliest, others)
        at_target, total = log_probs.exp() - (1 - smoothing), None
    normalizer = (scores - log_probs)[:real]
    uniform = (at_least_float32(rows[:real]) @ mean)[:, None] - normalizer
    likelihood = log_probs[:real].sum()
    sums.smoothed -= (1 - smoothing) * likelihood + smoothing * uniform.sum()
    sums.exact -= likelihood
    if sums.grad_rows is not None and sums.grad_weight is not None:
        put(error[:real], targets[:real, 0], at_target[:real, 0].type_as(error))
        error[real:] = 0
        add_gradients(error, rows, weight, total, sums.grad_rows[chunk], sums.grad_weight)


def log_likelihood(scores: Tensor, greatest: Tensor, likeliest: Tensor, others: Tensor) -> Tensor:
    """Return the log-probability of the target of each row, [R, 1], in the dtype of the scores.

    In low precision, a probability near 1 rounds to 1. So if it is above one half, the result is
    log1p(-others). A small probability may underflow. Then the result is the difference of its
    logit and the greatest logit, plus the log-probability of the greatest logit.

    Args:
        scores: [R, 1], the logits of the targets, in float32 at least.
        greatest: [R, 1], the greatest logit.
        likeliest: [R, 1], the greatest probability.
        others: [R, 1], the sum of all probabilities except that of the target.
    """
    near_one = torch.log1p(-others.type_as(scores))
    by_distance = scores - greatest.type_as(scores) + likeliest.type_as(scores).log()
    return torch.where(others < 0.5, near_one, by_distance)


# ------------------------------------------------ the same sums in few launches, for a GPU


class _FewLaunches(torch.autograd.Function):
    """The sums on a GPU, which has memory for one or a few large chunks.

    Let A be the sum of the log-probabilities of the targets, L the sum of their logits, H the sum
    of the hidden vectors, and m the mean of the rows of the weight. Then the smoothed sum is
    -A + e · (L - H · m). The hidden vector of a row without a target is set to 0, so the row adds 0
    to L, to H and to the gradient of the weight.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        needs_gradient: bool,
        ignores: bool,
    ) -> tuple[Tensor, Tensor]:
        rows, factor, ignored = hidden.to(dtype), weight.to(dtype), None
        if ignores:
            ignored = targets[:, None] < 0
            rows, targets = rows.masked_fill(ignored, 0), targets.clamp_min(0)
        grad_rows = torch.empty_like(rows) if needs_gradient else None
        sums = _DeviceSums(factor, targets[:, None], ignored, grad_rows)
        size = chunk_sizes.logits_rows(len(weight), rows, bytes_per_logit=2 * rows.element_size())
        with torch.autocast(rows.device.type, enabled=False):
            for start in range(0, max(1, len(rows)), size):
                sums.add(rows, slice(start, start + size), smoothing)
            ctx.save_for_backward(*sums.gradients(rows, smoothing))
            smoothed, exact = sums.losses(rows, smoothing)
        ctx.hidden_dtype = hidden.dtype
        ctx.mark_non_differentiable(exact)
        return smoothed, exact

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        # torch would round a factor without axes to the dtype of the gradient.
        grad_hidden = (grad_hidden * grad_output.view(1, 1)).to(ctx.hidden_dtype)
        return grad_hidden, grad_weight * grad_output, None, None, None, None, None


class _DeviceSums:
    """Sums over chunks, in float32 at least; the host reads no value."""

    def __init__(
        self, weight: Tensor, targets: Tensor, ignored: Tensor | None, grad_rows: Tensor | None
    ) -> None:
        """Begin with sums of 0.

        Args:
            weight: [V, O], in the dtype of the products.
            targets: [N, 1]; any piece for rows without a target.
            ignored: [N, 1] bool, True for rows without a target; None: all rows have one.
            grad_rows: [N, O], a buffer for the gradient of the rows; None: no gradients.
        """
        self._weight, self._targets, self._ignored = weight, targets, ignored
        self._grad_rows = grad_rows
        self._grad_weight: Tensor | None = None
        self._log_probs: list[Tensor] = []  # sums of the targets' log-probabilities, per chunk
        self._scores: list[Tensor] = []  # sums of the targets' logits, per chunk
        dtype = torch.promote_types(weight.dtype, torch.float32)
        self._mean = weight.mean(dim=0, dtype=dtype)
        self._rows_total: Tensor | None = None

    def add(self, rows: Tensor, chunk: slice, smoothing: float) -> None:
        """Add a chunk of the rows [N, O]."""
        rows, targets = rows[chunk], self._targets[chunk]
        logits = rows @ self._weight.T
        scores = at_least_float32(logits.gather(1, targets))
        if self._grad_rows is None:
            log_probs = logits.log_softmax(dim=1, dtype=scores.dtype).gather(1, targets)
        else:
            error = logits.softmax(dim=1)
            numbers = torch.arange(len(rows), device=rows.device)
            at_targets = numbers, targets[:, 0]
            greatest, likeliest = logits.amax(dim=1, keepdim=True), error.amax(dim=1, keepdim=True)
            error.index_put_(at_targets, error.new_zeros(()))
            others = error.sum(dim=1, keepdim=True, dtype=scores.dtype)
            log_probs = log_likelihood(scores, greatest, likeliest, others)
            difference = log_probs.expm1() + smoothing  # p - (1 - e)
            error.index_put_(at_targets, difference[:, 0].type_as(error))
            torch.mm(error, self._weight, out=self._grad_rows[chunk])
            grad_weight = float32_product(error.T, rows)
            before = self._grad_weight
            self._grad_weight = grad_weight if before is None else before.add_(grad_weight)
        if self._ignored is not None:
            log_probs.masked_fill_(self._ignored[chunk], 0)
        self._log_probs.append(log_probs.sum())
        self._scores.append(scores.sum())

    def gradients(self, rows: Tensor, smoothing: float) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of the rows [N, O] and of the weight [V, O], smoothing included."""
        grad_rows, grad_weight = self._grad_rows, self._grad_weight
        if grad_rows is None or grad_weight is None:
            return None, None
        if smoothing:
            grad_rows.sub_(self._mean, alpha=smoothing)
            grad_weight.sub_(self._total(rows), alpha=smoothing / len(self._weight))
        if self._ignored is not None:
            grad_rows.masked_fill_(self._ignored, 0)
        return grad_rows, grad_weight

    def losses(self, rows: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        """Return the smoothed sum and the exact sum."""
        exact = -_sum(self._log_probs)
        if not smoothing:
            return exact.clone(), exact
        difference = _sum(self._scores) - torch.dot(self._total(rows), self._mean)
        return torch.add(exact, difference, alpha=smoothing), exact

    def _total(self, rows: Tensor) -> Tensor:
        if self._rows_total is None:
            self._rows_total = rows.sum(dim=0, dtype=self._mean.dtype)
        return self._rows_total


def _sum(scalars: Sequence[Tensor]) -> Tensor:
    return scalars[0] if len(scalars) == 1 else torch.stack(list(scalars)).sum()
