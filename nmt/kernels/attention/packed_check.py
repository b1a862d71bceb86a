"""A check of `packed_attention` on the device of a run, before the run uses it.

Kernels with sentence offsets differ between versions of torch and between GPUs. The check compares
the forward and the backward pass with the formula in float64. It uses a few sentences: some have
one piece, one is longer than the block of a kernel, and the last ones are empty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.kernels.attention.attention_mask import SentenceMask
from nmt.kernels.attention.packed_attention import packed_attention
from nmt.kernels.attention.packed_path import PackedPath, packed_attention_path
from nmt.kernels.attention.scaled_dot_product import naive_attention

Attend = Callable[[Tensor, Tensor, Tensor, SentenceMask, float], Tensor]
"""`packed_attention`, or another implementation of it."""

_LONGEST = 192
_QUERIES = 5, 1, 129, 2, 64, 17, 0, 0  # pieces of each sentence
_KEYS = 3, 9, 65, 1, 128, 2, 0, 0
_DROPOUT = 0.5


@dataclass(frozen=True)
class Heads:
    """The number of heads of queries, the number of heads of keys and values, and the head size."""

    queries: int
    keys: int
    size: int


def packed_attention_fault(
    heads: Heads,
    dtype: torch.dtype,
    device: torch.device,
    dropout_p: float,
    attend: Attend = packed_attention,
) -> str | None:
    """Return a short description of a fault of packed attention on a device; None: no fault.

    Without dropout, results and gradients must equal the formula within 8 roundings of the largest
    value, or 1e-4 in float32. (A result is rounded twice, as weights and as product, and a gradient
    four times.) With dropout, the result o is linear in the values V. So <o, o> equals <V, gradient
    of <o, c> with respect to V> at c = o, if and only if both passes drop the same weights. If they
    drop different weights, the first product exceeds the second by a factor of about 1 / (1 - p),
    which is 2 here.

    Args:
        heads: The heads of the model.
        dtype: The dtype of products.
        device: The device of the training.
        dropout_p: Dropout of attention weights; 0: do not check dropout.
        attend: The function to check.
    """
    tolerance = max(8 * torch.finfo(dtype).eps, 1e-4)
    try:
        for causal in (False, True):
            inputs = _inputs(heads, dtype, device, causal)
            path = packed_attention_path(inputs[0], dtype, dropout_p)
            if attend is packed_attention and path is PackedPath.EXPLICIT:
                return f"no kernel for {dtype}, heads of {heads.size} and dropout of {dropout_p:g}"
            mask = _mask(device, causal)
            fault = _difference(attend, inputs, mask, tolerance)
            if fault is None and dropout_p:
                fault = _dropout_difference(attend, inputs, mask, tolerance)
            if fault is not None:
                return f"{fault}{' (causal)' if causal else ''}"
    except Exception as error:  # a kernel may raise any type of error
        reason = str(error).strip().split("\n")[0]
        return f"{type(error).__name__}: {reason}"
    return None


def _inputs(
    heads: Heads, dtype: torch.dtype, device: torch.device, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return random queries, keys and values. The states of global generators do not change."""
    generator = torch.Generator().manual_seed(1)
    queries, keys = sum(_QUERIES), sum(_QUERIES if causal else _KEYS)
    shapes = (1, heads.queries, queries), (1, heads.keys, keys), (1, heads.keys, keys)
    query, key, value = (
        torch.randn(*shape, heads.size, generator=generator).to(device, dtype).requires_grad_()
        for shape in shapes
    )
    return query, key, value


def _mask(device: torch.device, causal: bool) -> SentenceMask:
    queries, keys = (
        torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32, device=device)
        for lengths in (_QUERIES, _QUERIES if causal else _KEYS)
    )
    return SentenceMask(queries, keys, _LONGEST, _LONGEST, causal)


def _difference(
    attend: Attend, inputs: Sequence[Tensor], mask: SentenceMask, tolerance: float
) -> str | None:
    """Compare results and gradients with the formula."""
    query, keys, values = inputs
    exact = [part.detach().double().requires_grad_() for part in inputs]
    expected = naive_attention(exact[0], exact[1], exact[2], mask.explicit)
    found = attend(query, keys, values, mask, 0.0)
    weights = torch.cos(torch.arange(found.numel(), device=found.device)).view(found.shape)
    gradients = torch.autograd.grad(found, inputs, weights.type_as(found))
    exact_gradients = torch.autograd.grad(expected, exact, weights.type_as(found).double())
    names = "result", "gradient of the queries", "gradient of the keys", "gradient of the values"
    pairs = zip((found, *gradients), (expected, *exact_gradients), strict=True)
    for name, (one, other) in zip(names, pairs, strict=True):
        error = ((one.double() - other).abs().max() / other.abs().max()).item()
        if not error <= tolerance:  # also if it is NaN
            return f"the {name} differs by {error:.1g} of the largest value"
    return None


def _dropout_difference(
    attend: Attend, inputs: Sequence[Tensor], mask: SentenceMask, tolerance: float
) -> str | None:
    """Compare the weights that the forward and the backward pass drop."""
    query, keys, values = inputs
    devices = [query.device] if query.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        found = attend(query, keys, values, mask, _DROPOUT)
        (gradient,) = torch.autograd.grad(found, values, found.detach())
    forward = found.detach().double().square().sum().item()
    backward = (gradient.double() * values.detach().double()).sum().item()
    if not abs(forward - backward) <= tolerance * forward:
        return f"forward and backward pass drop other weights ({forward:.3g}, {backward:.3g})"
    return None
