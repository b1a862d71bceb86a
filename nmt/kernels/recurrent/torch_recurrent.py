"""torch's recurrent kernels over whole sequences; on a GPU, torch uses cuDNN.

The kernels also run over padding. So no shape depends on the length of a sentence, and the host
reads no length.

Legend: B batch, T length, I input size, U units, G gates of a cell (3 of a GRU, 4 of an LSTM).
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from nmt.kernels import dispatch

_CUDNN_WITH_BFLOAT16 = 91_300
"""The first version of cuDNN whose recurrent layers torch runs in bfloat16."""

TORCH_GATES = {"gru": (0, 1, 2), "lstm": (0, 1, 3, 2)}
"""The index in `nmt.model.recurrent.recurrent_cells` of each gate, in the order of torch."""


def torch_sequence(
    kind: str,
    inputs: Tensor,
    state: Tensor,
    weights: Sequence[Tensor],
    order: Sequence[int] | None = None,
) -> Tensor:
    """Run a layer of one direction over a whole sequence.

    The formulas are those of `torch.nn.GRU` and `torch.nn.LSTM`. torch's autocast would always run
    them in float16, so this function casts.

    Args:
        kind: ``gru`` or ``lstm``.
        inputs: [B, T, I].
        state: The state before the first step: h [B, U], or h and c of an LSTM, [B, 2 · U].
        weights: The weights of inputs [G · U, I] and state [G · U, U], then their biases, each
            [G · U].
        order: For each gate in the order of torch, its index in the weights; None: the weights are
            in the order of torch.

    Returns:
        States h after each step, [B, T, U], in the dtype of products.
    """
    result, dtype = dispatch.product_dtype(inputs), recurrent_dtype(inputs)
    with torch.autocast(inputs.device.type, enabled=False):
        first = state.to(dtype).contiguous()[None]
        arguments = _flat(weights, order, dtype), True, 1, 0.0, torch.is_grad_enabled(), False, True
        if kind == "gru":
            states, _ = torch.gru(inputs.to(dtype), first, *arguments)
        else:
            hidden, cell = (part.contiguous() for part in first.chunk(2, dim=2))
            states, _, _ = torch.lstm(inputs.to(dtype), [hidden, cell], *arguments)
    return states.to(result)


def _flat(
    weights: Sequence[Tensor], order: Sequence[int] | None, dtype: torch.dtype
) -> list[Tensor]:
    """Copy the weights into one buffer, which cuDNN needs, and return views of it."""
    parts: list[Tensor] = []
    for weight in weights:
        gates = [weight] if order is None else [weight.chunk(len(order))[i] for i in order]
        parts.extend(gate.flatten() for gate in gates)
    flat = torch.cat(parts).to(dtype)
    pieces = flat.split([weight.numel() for weight in weights])
    return [piece.view(weight.shape) for piece, weight in zip(pieces, weights, strict=True)]


def recurrent_dtype(inputs: Tensor) -> torch.dtype:
    """Return the dtype of torch's recurrent kernels.

    It is the dtype of products, with one exception. Before version 9.13 of cuDNN, torch would run
    bfloat16 step by step, so the kernels run in float32.
    """
    dtype = dispatch.product_dtype(inputs)
    if dtype == torch.bfloat16 and inputs.is_cuda and not _cudnn_has_bfloat16():
        return torch.float32
    return dtype


@cache
def _cudnn_has_bfloat16() -> bool:
    return (torch.backends.cudnn.version() or 0) >= _CUDNN_WITH_BFLOAT16
