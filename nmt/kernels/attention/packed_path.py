"""Chooses the formulation of attention in packed rows; see `nmt.kernels.dispatch`."""

from enum import StrEnum
from functools import cache

import torch
from torch import Tensor

from nmt.kernels import dispatch, private_torch


class PackedPath(StrEnum):
    """A formulation of attention within the sentences of a packed row."""

    EXPLICIT = "explicit"  # a mask of all pairs of positions
    FLASH = "flash"  # torch's flash attention, by sentence offsets
    EFFICIENT = "efficient"  # torch's memory-efficient attention, by sentence offsets


def packed_attention_path(query: Tensor, dtype: torch.dtype, dropout_p: float) -> PackedPath:
    """Return the path of attention in packed rows, `nmt.kernels.attention.packed_attention`.

    With sentence offsets, the backward pass of the memory-efficient kernel does not drop the same
    weights as the forward pass: the offset of its random numbers is a multiple of the number of
    keys, which is 0 in the forward pass (pytorch issue 115590). So this kernel runs only without
    dropout.

    Args:
        query: [1, H, N, K].
        dtype: The dtype of the products.
        dropout_p: Probability of dropping a weight.
    """
    if query.device.type not in ("cuda", "meta") or dispatch.only_plain():
        return PackedPath.EXPLICIT
    half, size = dtype in (torch.bfloat16, torch.float16), query.size(-1)
    fits = half and size % 8 == 0 and size <= 256 and private_torch.flash_by_offsets is not None
    if fits and (query.device.type == "meta" or _has_flash(query.device)):
        return PackedPath.FLASH
    if dtype == torch.float64 or dropout_p or private_torch.efficient_by_offsets is None:
        return PackedPath.EXPLICIT
    return PackedPath.EFFICIENT


@cache
def _has_flash(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (8, 0)
