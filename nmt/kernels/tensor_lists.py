"""Elementwise operations on lists of tensors, in few multi-tensor kernels if torch has them."""

from collections.abc import Iterable, Sequence

from torch import Tensor

from nmt.kernels import dispatch, private_torch


def multiply_all_(tensors: Iterable[Tensor], factor: float | Tensor) -> None:
    """Multiply each tensor by a factor in place."""
    tensors = list(tensors)
    if private_torch.foreach_multiply_ is not None and tensors:
        private_torch.foreach_multiply_(tensors, factor)
        return
    for tensor in tensors:
        tensor.mul_(factor)


def lerp_all_(tensors: Iterable[Tensor], ends: Iterable[Tensor], weight: float | Tensor) -> None:
    """Compute x += weight · (end - x) in place for each tensor; ``weight`` is a scalar."""
    tensors, ends = list(tensors), list(ends)
    if isinstance(weight, Tensor) and not all(map(dispatch.on_cpu, tensors)):
        _lerp_by_steps_(tensors, ends, weight)
        return
    if private_torch.foreach_lerp_ is not None:
        weights = [weight] * len(tensors) if isinstance(weight, Tensor) else weight
        private_torch.foreach_lerp_(tensors, ends, weights)
        return
    for tensor, end in zip(tensors, ends, strict=True):
        tensor.lerp_(end, weight)


def _lerp_by_steps_(tensors: list[Tensor], ends: list[Tensor], weight: Tensor) -> None:
    """Do what `lerp_all_` does in three operations, instead of one launch per tensor."""
    subtract, add_ = private_torch.foreach_sub, private_torch.foreach_add_
    if subtract is None or add_ is None:
        for tensor, end in zip(tensors, ends, strict=True):
            tensor.lerp_(end, weight)
        return
    differences = subtract(ends, tensors)
    multiply_all_(differences, weight)
    add_(tensors, differences)


def copy_all_(tensors: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy each source to the tensor with the same index; shapes are equal, dtypes may differ."""
    if private_torch.foreach_copy_ is not None and len(tensors):
        private_torch.foreach_copy_(list(tensors), list(sources))
        return
    for tensor, source in zip(tensors, sources, strict=True):
        tensor.copy_(source)


def zero_all_(tensors: Sequence[Tensor]) -> None:
    """Set tensors to zero in place."""
    if private_torch.foreach_zero_ is not None and len(tensors):
        private_torch.foreach_zero_(list(tensors))
        return
    for tensor in tensors:
        tensor.zero_()


def add_all_(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    """Add, in place, each of ``others`` to the tensor with the same index."""
    if private_torch.foreach_add_ is not None and len(tensors):
        private_torch.foreach_add_(list(tensors), list(others))
        return
    for tensor, other in zip(tensors, others, strict=True):
        tensor.add_(other)
