"""Linear layers inside a loop over time, whose weights get their gradient in one product.

Autograd takes a weight's gradient at every step and adds them up: as many small products, and as
many passes over the weight, rounded each time. Here steps only note what they saw and what came
back, and one product over all steps, summed in float32, makes the gradient.

Legend: R rows of a step, N steps, I input size, O output size.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.model.linear import weight_gradient

_Notes = dict[int, tuple[Tensor, Tensor]]  # input and gradient of each step, the last step first


class RepeatedLinear(nn.Linear):
    """A linear layer for use in a loop; inside `one_gradient` its weight gradient comes at once."""

    _loop: "_Loop | None" = None

    def forward(self, rows: Tensor) -> Tensor:
        """Map rows [..., I] to [..., O]."""
        return super().forward(rows) if self._loop is None else self._loop(rows)

    @contextmanager
    def in_loop(self) -> Iterator[None]:
        """Let the calls within be the steps of one loop."""
        self._loop = _Loop(self.weight, self.bias)
        try:
            yield
        finally:
            self._loop = None


@contextmanager
def one_gradient(module: nn.Module) -> Iterator[None]:
    """Let the calls within of all `RepeatedLinear` of a module be the steps of one loop each."""
    with ExitStack() as stack:
        if torch.is_grad_enabled():
            for layer in module.modules():
                if isinstance(layer, RepeatedLinear):
                    stack.enter_context(layer.in_loop())
        yield


class _Loop:
    """The steps of one layer in one loop."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        device = weight.device.type
        kind = weight.dtype
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
        self._weight = weight.detach().to(kind)
        self._bias = None if bias is None else bias.detach().to(kind)
        self._notes: _Notes = {}
        self._steps = 0
        self._end = _End.apply(weight, bias, self._notes)  # type: ignore[no-untyped-call]

    def __call__(self, rows: Tensor) -> Tensor:
        with torch.autocast(rows.device.type, enabled=False):
            rows = rows.to(self._weight.dtype)
            result: Tensor = _Step.apply(  # type: ignore[no-untyped-call]
                rows, self._end, self._weight, self._bias, self._notes, self._steps
            )
        self._steps += 1
        return result


class _Step(torch.autograd.Function):
    """rows W^T + b; its backward pass notes what the weight's gradient is made of."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        _: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        notes: _Notes,
        step: int,
    ) -> Tensor:
        ctx.save_for_backward(rows, weight)
        ctx.notes, ctx.step = notes, step
        return nn.functional.linear(rows, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        learning, end = ctx.needs_input_grad[:2]
        if end:
            ctx.notes[ctx.step] = rows.flatten(0, -2), gradient.flatten(0, -2)
        back = gradient @ weight if learning else None
        token = gradient.new_zeros((), dtype=torch.float32) if end else None
        return back, token, None, None, None, None


class _End(torch.autograd.Function):
    """Nothing, on the way in; on the way out, when all steps are through, the gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor | None, notes: _Notes) -> Tensor:
        ctx.notes, ctx.kind, ctx.with_bias = notes, weight.dtype, bias is not None
        return weight.new_zeros((), dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        rows = torch.cat([rows for rows, _ in ctx.notes.values()])  # [N · R, I]
        gradients = torch.cat([gradient for _, gradient in ctx.notes.values()])  # [N · R, O]
        ctx.notes.clear()
        bias = gradients.sum(dim=0, dtype=ctx.kind) if ctx.with_bias else None
        return weight_gradient(gradients, rows, ctx.kind), bias, None
