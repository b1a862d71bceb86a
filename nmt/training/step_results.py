"""Results of updates: first as tensors on the device, later as values on the host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.data.batches.batch import Batch


@dataclass(frozen=True)
class StepResult:
    """The result of one update. Its tensors are scalars on the device; the host has not read them.

    Attributes:
        update: Number of the update, from 1.
        epoch: Epoch of its data, from 0.
        loss: Mean over ``tokens``, in nats per target token.
        gradient_norm: Norm of the gradient before clipping.
        scale_overflow: Bool; True if the gradient is not finite because of the float16 loss scale,
            not because of the model. None if the loss is not scaled.
        tokens: Target tokens in all processes; 0 if every pair was dropped (out of memory).
        learning_rate: Learning rate of this update.
        batches: The batches of this process, on the CPU.
        extra_losses: Sums over the update, by name.
    """

    update: int
    epoch: int
    loss: Tensor
    gradient_norm: Tensor
    scale_overflow: Tensor | None
    tokens: int
    learning_rate: float
    batches: Sequence[Batch]
    extra_losses: Mapping[str, Tensor]


def are_finite(loss: Tensor, norm: Tensor) -> Tensor:
    """Return whether both scalars are finite, a bool scalar; in fewer launches than `isfinite`."""
    return (loss - loss) + (norm - norm) == 0  # inf - inf is NaN, and NaN differs from 0


@dataclass(frozen=True)
class StepNumbers:
    """The values of a `StepResult`, read by the host."""

    loss: float
    gradient_norm: float
    scale_overflow: bool


def read_results(results: Sequence[StepResult]) -> list[StepNumbers]:
    """Read the values of several updates from the device, in one transfer."""
    if not results:
        return []
    rows = []
    for result in results:
        loss, overflow = result.loss, result.scale_overflow
        flag = torch.zeros_like(loss) if overflow is None else overflow.to(loss.dtype)
        rows.append(torch.stack([loss, result.gradient_norm.to(loss.dtype), flag]))
    return [StepNumbers(loss, norm, bool(flag)) for loss, norm, flag in torch.stack(rows).tolist()]
