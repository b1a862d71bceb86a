"""Masks of attention that all layers of a stack share.

Legend: B batch, T queries, S keys, H heads.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

_ALIGNMENT = 8  # elements; torch's memory-efficient kernel copies a bias with other strides


class AttentionMask:
    """Which keys each query may attend to, as booleans and as a bias that is added to the scores.

    Fused kernels add a bias. With a bool mask, they would compute the bias again in every layer.
    Each query may attend to at least one key.

    Attributes:
        is_causal: Whether query t may attend to keys 0 to t, and to no others.
    """

    def __init__(self, allowed: Tensor | Callable[[], Tensor], is_causal: bool = False) -> None:
        """Take the bool tensor (see `allowed`), or a function that returns it when first used."""
        self._make = allowed
        self.is_causal = is_causal
        self._biases: dict[torch.dtype, Tensor] = {}

    @cached_property
    def allowed(self) -> Tensor:
        """Bool, broadcastable to scores [B, H, T, S], True = may attend."""
        return self._make if isinstance(self._make, Tensor) else self._make()

    @classmethod
    def of(cls, mask: "Tensor | AttentionMask | None") -> "AttentionMask | None":
        """Convert a bool tensor to an `AttentionMask`; return other values unchanged."""
        return cls(mask) if isinstance(mask, Tensor) else mask

    @classmethod
    def causal(cls, length: int, device: torch.device) -> "AttentionMask":
        """Return the mask [T, T] of known targets: row t is True up to column t.

        The tensor is computed when it is first used. Some kinds of attention never use it.
        """

        def make() -> Tensor:
            return torch.ones(length, length, dtype=torch.bool, device=device).tril()

        return cls(make, is_causal=True)

    def bias(self, heads: Tensor) -> Tensor:
        """Return 0 if attention is allowed, else -inf, in the dtype of ``heads``.

        The bias is computed once per dtype. Its rows are padded in memory, because fused kernels
        require it.
        """
        found = self._biases.get(heads.dtype)
        if found is None:
            *others, length = self.allowed.shape
            padded = heads.new_zeros(*others, length + -length % _ALIGNMENT)
            found = padded[..., :length].masked_fill_(~self.allowed, float("-inf"))
            self._biases[heads.dtype] = found
        return found

    def index_select(self, dim: int, index: Tensor) -> "AttentionMask":
        """Select entries of an axis, as `Tensor.index_select` does."""
        return AttentionMask(self.allowed.index_select(dim, index))


def allowed(mask: Tensor | AttentionMask | None) -> Tensor | None:
    """Return a mask as a bool tensor; None: all may attend."""
    return mask.allowed if isinstance(mask, AttentionMask) else mask
