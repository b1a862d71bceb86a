"""The private names of torch that fast paths use; only this file looks them up, each once.

If a version of torch lacks a name, its variable is None, and `nmt.kernels.dispatch` chooses a path
without it.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, cast

import torch


def _find(name: str) -> Callable[..., Any] | None:
    """Return the object with this name in torch; None: this version of torch lacks it."""
    try:
        found: Any = reduce(getattr, name.split("."), torch)
    except (AttributeError, RuntimeError):
        return None
    return cast("Callable[..., Any]", found)


sigmoid_backward = _find("ops.aten.sigmoid_backward")
"""(g, y) -> g · y · (1 - y)."""

tanh_backward = _find("ops.aten.tanh_backward")
"""(g, y) -> g · (1 - y²)."""

threshold_backward_ = _find("ops.aten.threshold_backward.grad_input")
"""(g, x, 0, grad_input=out) writes g where x > 0, else 0, to out."""

softmax_backward = _find("_softmax_backward_data")
"""(g, y, dim, dtype) -> the gradient of the argument of y = softmax(argument)."""

flash_by_offsets = _find("ops.aten._flash_attention_forward.default")
"""(q, k, v, q offsets, k offsets, longest q, longest k, dropout, causal, False) -> (result, ...);
rows [N, H, K] and [S, G, K] of 16-bit floats; it has a gradient (torchgen's derivatives.yaml)."""

efficient_by_offsets = _find("ops.aten._efficient_attention_forward.default")
"""(q, k, v, None, q offsets, k offsets, longest q, longest k, dropout, mask type, True) ->
(result, ...); rows [1, N, H, K] and [1, S, H, K]; it has a gradient."""

onednn_product = _find("ops.mkldnn._linear_pointwise")
"""(rows, weight, bias, "relu" | "none", [], "") -> result."""

pack_weight = _find("ops.mkldnn._reorder_linear_weight")
"""(weight [O, I], expected rows) -> the weight in oneDNN's layout, for `onednn_product`."""


def is_packed(weight: torch.Tensor) -> bool:
    """Return whether `pack_weight` made this tensor; then ``to_dense`` gives torch's layout."""
    return weight.is_mkldnn


pack_quantized_weight = _find("ops.onednn.qlinear_prepack")
quantized_product = _find("ops.onednn.qlinear_pointwise")
"""(weight [O, I], None) -> packed weight; (x, its scale and zero, packed weight, its scales [O] and
zeros, bias, 1.0, 0, dtype, "none", [], "") -> x W^T of integers in this dtype."""

foreach_multiply_ = _find("_foreach_mul_")
foreach_lerp_ = _find("_foreach_lerp_")
foreach_copy_ = _find("_foreach_copy_")
foreach_sub = _find("_foreach_sub")
foreach_add_ = _find("_foreach_add_")
foreach_zero_ = _find("_foreach_zero_")

end_allocation = _find("_C._cuda_endAllocateToPool")
release_pool = _find("_C._cuda_releasePool")
"""(device number, pool) -> None: ends allocation from the pool; removes one use of the pool."""

PRIVATE_NAMES = (
    *("sigmoid_backward", "tanh_backward", "threshold_backward_", "softmax_backward"),
    *("flash_by_offsets", "efficient_by_offsets", "onednn_product", "pack_weight"),
    *("pack_quantized_weight", "quantized_product"),
    *("foreach_multiply_", "foreach_lerp_", "foreach_copy_"),
    *("foreach_sub", "foreach_add_", "foreach_zero_"),
    *("end_allocation", "release_pool"),
)
"""Variables of this module that are None if torch lacks the name; for tests."""


def supports_found_inf(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether an optimizer can skip a step by a flag on the device, as fused optimizers do.

    torch marks these optimizers with a private attribute. Without it, the host decides whether to
    skip a step: an optimizer that ignores the flag would apply a gradient of NaN.
    """
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))
