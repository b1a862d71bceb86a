"""Linear layers, as quick as a CPU makes them, and the product they are made of.

On a CPU, autocast gives each layer a graph of casts, transpositions and views; here a layer is one
operation that keeps what its gradient needs, in the type of the product. oneDNN adds the bias while
the product is still in the cache, and in float32 uses wider vectors than torch's own choice does on
processors that are not Intel's.

oneDNN makes code for every number of rows that it has not met, and keeps it. So the rows of
products are filled up to round numbers, which come back.

Legend: N rows, I input size, O output size.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_KINDS = (torch.float32, torch.bfloat16, torch.float64)
_MANY, _FEW = 128, 16  # rows are filled up to multiples of the one, or where fewer, of the other


class Linear(nn.Linear):
    """x W^T + b; parameters and results are those of `torch.nn.Linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs [..., I] to [..., O]."""
        return linear(inputs, self.weight, self.bias)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x W^T + b of inputs [..., I], weight [O, I] and bias [O], in the autocast type."""
    if not on_cpu(inputs) or not torch.is_grad_enabled():
        return functional.linear(inputs, weight, bias)
    kind = product_type(inputs)
    with torch.autocast("cpu", enabled=False):
        result: Tensor = _Linear.apply(inputs, weight, bias, kind)  # type: ignore[no-untyped-call]
    return result


def product_type(inputs: Tensor) -> torch.dtype:
    """Return the type in which a product with these inputs is taken."""
    if torch.is_autocast_enabled(inputs.device.type) and inputs.dtype != torch.float64:
        return torch.get_autocast_dtype(inputs.device.type)
    return inputs.dtype


def on_cpu(inputs: Tensor) -> bool:
    """Return whether the operations made for a CPU take these inputs; compiled code has its own."""
    known = inputs.device.type == "cpu" and inputs.dtype in _KINDS
    return known and not torch.compiler.is_compiling()


def product(
    rows: Tensor, weight: Tensor, bias: Tensor | None = None, *, relu: bool = False
) -> Tensor:
    """Return rows [N, I] times weight [O, I], transposed, plus bias [O], all of one type.

    Args:
        rows: Of any strides, as is the weight.
        weight: The second factor.
        bias: Added to each row.
        relu: Whether what is negative becomes 0.
    """
    fused = False
    if len(rows) and _is_allowed() and _onednn_is_faster(rows.dtype):
        fused = relu and _are_finite(rows, weight, bias)  # oneDNN's relu makes 0 of NaN
        last = "relu" if fused else "none"
        result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, last, [], "")
    else:
        result = functional.linear(rows, weight, bias)
    return result.relu_() if relu and not fused else result


def weight_gradient(gradient: Tensor, rows: Tensor, kind: torch.dtype) -> Tensor:
    """Return a weight's gradient [O, I] from its results' [N, O] and the rows [N, I]."""
    if gradient.dtype == torch.bfloat16:  # which oneDNN multiplies here, and float32 it does not
        gradient, rows = filled(gradient, gradient.dtype), filled(rows, rows.dtype)
    return (gradient.t() @ rows).to(kind)


def filled(rows: Tensor, kind: torch.dtype) -> Tensor:
    """Return rows [N, I] as a type; where oneDNN multiplies them, up to a round number of them.

    Rows of zeros stand behind then.
    """
    unit = _MANY if len(rows) > _MANY else _FEW
    missing = -len(rows) % unit
    takes = kind == torch.bfloat16 or _onednn_is_faster(kind)
    if not missing or rows.device.type != "cpu" or not takes or not _is_allowed():
        return rows.to(kind)
    whole = rows.new_empty(len(rows) + missing, rows.size(1), dtype=kind)
    whole[: len(rows)] = rows
    whole[len(rows) :] = 0
    return whole


def _are_finite(*values: Tensor | None) -> bool:
    total = sum(value.sum(dtype=value.dtype) for value in values if value is not None)
    return bool(torch.as_tensor(total).isfinite())


def _is_allowed() -> bool:
    return bool(torch._C._get_mkldnn_enabled())  # torch.backends.mkldnn.flags


@cache
def _onednn_is_faster(kind: torch.dtype) -> bool:
    """Tell by the processor and not by the clock, so that each run makes the same choice."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    if kind == torch.bfloat16:
        return wide
    return kind == torch.float32 and wide and not _is_intel()


def _is_intel() -> bool:
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, kind: torch.dtype
    ) -> Tensor:
        given = inputs.reshape(-1, inputs.size(-1))
        rows, factor = filled(given, kind), weight.to(kind)
        ctx.save_for_backward(rows, factor)
        ctx.shape, ctx.input_kind, ctx.weight_kind = inputs.shape, inputs.dtype, weight.dtype
        result = product(rows, factor, None if bias is None else bias.to(kind))
        return result[: len(given)].view(*inputs.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, factor = ctx.saved_tensors
        to_inputs, to_weight, to_bias = ctx.needs_input_grad[:3]
        count = ctx.shape[:-1].numel()
        flat = filled(gradient.reshape(count, len(factor)), gradient.dtype)
        back = None
        if to_inputs:
            back = product(flat, factor.t())[:count].to(ctx.input_kind).view(ctx.shape)
        return (
            back,
            weight_gradient(flat, rows, ctx.weight_kind) if to_weight else None,
            flat.sum(dim=0).to(ctx.weight_kind) if to_bias else None,
            None,
        )
