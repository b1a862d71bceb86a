"""Casts the weights of linear layers to the dtype of their products, all together.

Autocast casts each parameter and each gradient separately: four launches for each layer with a
bias. Here one operation casts all parameters before a forward pass, and one operation casts all
gradients after the backward pass. The results equal those of autocast.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.kernels import dispatch
from nmt.kernels.tensor_lists import copy_all_


class WeightCasts:
    """Casts the weights and biases of some linear layers during a forward pass."""

    def __init__(self, layers: Iterable[nn.Linear]) -> None:
        """Take the layers. No other kind of layer may share their parameters."""
        self._places = [
            (layer, name) for layer in layers for name, _ in layer.named_parameters(recurse=False)
        ]

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Replace the parameters of the layers in a block; enter it under autocast.

        The backward pass may run after the block. Without autocast or on a CPU, the block changes
        nothing.
        """
        parameters = [getattr(layer, name) for layer, name in self._places]
        if not parameters or not dispatch.casts_together(parameters[0]):
            yield
            return
        dtype = dispatch.product_dtype(parameters[0])
        casts = _CastTogether.apply(dtype, *parameters)  # type: ignore[no-untyped-call]
        for (layer, name), cast in zip(self._places, casts, strict=True):
            vars(layer)[name] = cast  # the attribute hides the parameter with the same name
        try:
            yield
        finally:
            for layer, name in self._places:
                del vars(layer)[name]


class _CastTogether(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)  # a layer that did not run has no gradient
        ctx.dtypes = [weight.dtype for weight in weights]
        return tuple(_cast(weights, [dtype] * len(weights)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        known = [index for index, grad in enumerate(grads) if grad is not None]
        present = [grad for grad in grads if grad is not None]
        results: list[Tensor | None] = [None] * len(grads)
        for index, cast in zip(known, _cast(present, [ctx.dtypes[i] for i in known]), strict=True):
            results[index] = cast
        return None, *results


def _cast(tensors: Sequence[Tensor], dtypes: Sequence[torch.dtype]) -> list[Tensor]:
    casts = [torch.empty_like(t, dtype=dtype) for t, dtype in zip(tensors, dtypes, strict=True)]
    copy_all_(casts, tensors)
    return casts
