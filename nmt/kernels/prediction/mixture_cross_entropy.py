"""The output layer and the cross-entropy of a mixture, without all logits in memory.

The mixture is P(y) = g · P_vocab(y) + another term, e.g. of a pointer (`nmt.model.pointer`). The
inputs are log g and the logarithm of the other term at the target. Then log P_vocab(y) determines
P(y) and the ratio r = g · P_vocab(y) / P(y). So one pass over a chunk of logits gives the loss and
its gradients.

Legend: N target pieces of a batch, O decoder output size, V vocabulary, R rows of a chunk.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.linear.linear_layer import padded_rows
from nmt.kernels.precision import at_least_float32, float32_product, tiny
from nmt.kernels.prediction import chunk_sizes
from nmt.kernels.prediction.cross_entropy import log_likelihood
from nmt.kernels.prediction.cross_entropy_chunk import exponentials_, put


def plain_mixture_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    log_share: Tensor,
    log_other: Tensor,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Compute `projected_mixture_cross_entropy` from all logits [N, V]."""
    log_probs = at_least_float32(functional.linear(hidden, weight)).log_softmax(dim=1)
    of_targets = log_probs.gather(1, targets.clamp_min(0)[:, None])[:, 0]
    exact = -torch.logaddexp(log_share + of_targets, log_other)
    smoothed = torch.lerp(exact, -log_probs.mean(dim=1), label_smoothing)
    ignored = targets < 0
    exact, smoothed = (each.masked_fill(ignored, 0.0).sum() for each in (exact, smoothed))
    return smoothed, exact.detach()


def projected_mixture_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    log_share: Tensor,
    log_other: Tensor,
    label_smoothing: float,
    *,
    ignores: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of a mixture with the logits ``hidden @ weight.T``.

    The loss of a target y is -(1 - e) log P(y) - e · mean over all pieces of log P_vocab, with P(y)
    = exp(log_share) · P_vocab(y) + exp(log_other).

    Args:
        hidden: [N, O].
        weight: [V, O], of the output layer.
        targets: [N]; a row with the target -100 adds 0.
        log_share: [N], log g, finite, in float32 at least.
        log_other: [N], the logarithm of 1 - g times the other distribution at the target; it may be
            -inf.
        label_smoothing: e.
        ignores: Whether targets may be -100.

    Returns:
        The smoothed sum, and the sum of the exact negative log-likelihood (no gradient), in nats,
        with the precision of `nmt.kernels.prediction.cross_entropy.projected_cross_entropy`.
    """
    if dispatch.cross_entropy_path() is KernelPath.PLAIN:
        return plain_mixture_cross_entropy(
            hidden, weight, targets, log_share, log_other, label_smoothing
        )
    differentiable = hidden, weight, log_share, log_other
    needs_gradient = torch.is_grad_enabled() and any(one.requires_grad for one in differentiable)
    options = label_smoothing, dispatch.product_dtype(hidden), needs_gradient, ignores
    smoothed, exact = _Mixture.apply(  # type: ignore[no-untyped-call]
        hidden, weight, targets, log_share, log_other, *options
    )
    return smoothed, exact


class _Mixture(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        log_share: Tensor,
        log_other: Tensor,
        smoothing: float,
        dtype: torch.dtype,
        needs_gradient: bool,
        ignores: bool,
    ) -> tuple[Tensor, Tensor]:
        count, rows = len(hidden), padded_rows(hidden, dtype)
        padding = len(rows) - count
        targets = functional.pad(targets, (0, padding), value=-100)
        share, other = (
            functional.pad(one, (0, padding))[:, None] for one in (log_share, log_other)
        )
        ignored = targets[:, None] < 0 if ignores or padding else None
        if ignored is not None:
            rows, targets = rows.masked_fill(ignored, 0), targets.clamp_min(0)
        sums = _Sums.empty(rows, weight.to(dtype), smoothing, needs_gradient=needs_gradient)
        size = chunk_sizes.logits_rows(
            len(weight), rows, multiple=dispatch.TILE_ROWS, bytes_per_logit=8
        )
        with torch.autocast(rows.device.type, enabled=False):
            for start in range(0, len(rows), size):
                chunk = slice(start, start + size)
                mine = (part[chunk] for part in (targets, share, other))
                sums.add(chunk, *mine, ignored=None if ignored is None else ignored[chunk])
            sums.smooth(ignored)
        ctx.hidden_dtype, ctx.terms_dtype = hidden.dtype, log_share.dtype
        ctx.save_for_backward(*sums.gradients(count))
        ctx.mark_non_differentiable(sums.exact)
        return sums.smoothed, sums.exact

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight, grad_share, grad_other = ctx.saved_tensors
        # torch would round a factor without axes to the dtype of the gradient.
        grad_hidden = (grad_hidden * grad_output.view(1, 1)).to(ctx.hidden_dtype)
        terms = ((term * grad_output).to(ctx.terms_dtype) for term in (grad_share, grad_other))
        return grad_hidden, grad_weight * grad_output, None, *terms, None, None, None, None


@dataclass
class _Sums:
    """Both losses and the gradients, summed over chunks; the host reads no value.

    Attributes:
        rows: [N, O], in the dtype of the products; 0 in rows without a target.
        weight: [V, O], in the dtype of the products.
        smoothing: e.
        smoothed, exact: The losses, scalars.
        grad_rows: [N, O]; None: no gradients.
        grad_weight: [V, O].
        grad_terms: [N, 2], of log_share and log_other.
    """

    rows: Tensor
    weight: Tensor
    smoothing: float
    smoothed: Tensor
    exact: Tensor
    grad_rows: Tensor | None
    grad_weight: Tensor
    grad_terms: Tensor

    @classmethod
    def empty(
        cls, rows: Tensor, weight: Tensor, smoothing: float, *, needs_gradient: bool
    ) -> "_Sums":
        wide = at_least_float32(rows[:0])
        smoothed, exact = wide.new_zeros(()), wide.new_zeros(())
        grad_rows = torch.empty_like(rows) if needs_gradient else None
        grad_weight = wide.new_zeros(weight.shape if needs_gradient else 0)
        grad_terms = wide.new_zeros(len(rows), 2)
        return cls(rows, weight, smoothing, smoothed, exact, grad_rows, grad_weight, grad_terms)

    def add(
        self,
        chunk: slice,
        targets: Tensor,
        log_share: Tensor,
        log_other: Tensor,
        *,
        ignored: Tensor | None,
    ) -> None:
        """Add a chunk with targets [R], both terms [R, 1] and the mask ``ignored`` [R, 1]."""
        logits = self.rows[chunk] @ self.weight.T
        if self.grad_rows is None:
            logits = at_least_float32(logits)  # validation does not round the likelihood
        scores = at_least_float32(logits.gather(1, targets[:, None]))
        error, log_probs, scale, at_target = _softmax(logits, scores, targets)
        generated = log_share + log_probs
        mixed = torch.logaddexp(generated, log_other)
        share = (generated - mixed).exp()  # r
        normalizer = scores - log_probs
        if ignored is not None:
            normalizer, mixed = (part.masked_fill(ignored, 0) for part in (normalizer, mixed))
        e, likelihood = self.smoothing, mixed.sum()
        self.exact -= likelihood
        self.smoothed += e * normalizer.sum() - (1 - e) * likelihood
        if self.grad_rows is None:
            return
        # The gradient of the logits is c · (P_vocab - (1 - e) r / c at the target) - e / V.
        weighed = (1 - e) * share
        c = weighed + e
        difference = at_target - weighed / c.clamp_min(tiny(c)) / scale
        put(error, targets, difference[:, 0].type_as(error))
        scale = c * scale if ignored is None else (c * scale).masked_fill(ignored, 0)
        rows = self.grad_rows[chunk]
        torch.mm(error, self.weight, out=rows)
        rows.mul_(scale.type_as(rows))
        self.grad_weight += float32_product(error.T, self.rows[chunk] * scale.type_as(rows))
        terms = torch.cat([-weighed, weighed - (1 - e)], dim=1)
        self.grad_terms[chunk] = terms if ignored is None else terms.masked_fill(ignored, 0)

    def smooth(self, ignored: Tensor | None) -> None:
        """Add the terms of label smoothing that are the same for every piece."""
        if not self.smoothing:
            return
        dtype = self.exact.dtype
        mean, total = self.weight.mean(0, dtype=dtype), self.rows.sum(0, dtype=dtype)
        self.smoothed -= self.smoothing * torch.dot(total, mean)
        if self.grad_rows is None:
            return
        self.grad_rows.sub_(mean.type_as(self.grad_rows), alpha=self.smoothing)
        self.grad_weight.sub_(total, alpha=self.smoothing / len(self.weight))
        if ignored is not None:
            self.grad_rows.masked_fill_(ignored, 0)

    def gradients(self, count: int) -> tuple[Tensor | None, ...]:
        """Return the gradients of the first ``count`` rows, the weight and both terms."""
        if self.grad_rows is None:
            return None, None, None, None
        share, other = self.grad_terms[:count].unbind(1)
        return self.grad_rows[:count], self.grad_weight, share, other


def _softmax(
    logits: Tensor, scores: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the unnormalized softmax of the logits [R, V] of a chunk; may overwrite the logits.

    Returns:
        The unnormalized probabilities [R, V], 0 at the target; the log-probability of each target;
        the factor that normalizes each row; and the unnormalized probability of each target. The
        last three are [R, 1], in the dtype of the scores.
    """
    if logits.dtype == scores.dtype and dispatch.on_cpu(logits):
        log_probs, others, total = exponentials_(logits, targets)
        return logits, log_probs, 1 / total, total - others
    error = logits.softmax(dim=1)
    greatest, likeliest = logits.amax(dim=1, keepdim=True), error.amax(dim=1, keepdim=True)
    put(error, targets, error.new_zeros(len(targets)))
    others = error.sum(dim=1, keepdim=True, dtype=scores.dtype)
    log_probs = log_likelihood(scores, greatest, likeliest, others)
    return error, log_probs, torch.ones_like(log_probs), log_probs.exp()
