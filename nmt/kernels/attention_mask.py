"""Masks of attention that all layers of a stack share.

Legend: B batch, T query length, S key length, H heads.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

_ALIGNMENT = 8  # elements; torch's memory-efficient kernel copies a bias with other strides


class AttentionMask:
    """Which keys each query may attend to, as booleans and as a bias that is added to the scores.

    Fused kernels add a bias. Given a bool mask, they would compute the bias again in every layer.
    Each query may attend to at least one key.

    Attributes:
        is_causal: Whether query t may attend to the keys up to t, and to no others.
    """

    def __init__(self, allowed: Tensor | Callable[[], Tensor], is_causal: bool = False) -> None:
        """Take the booleans (see `allowed`), or a function that makes them when they are needed."""
        self._make = allowed
        self.is_causal = is_causal
        self._biases: dict[torch.dtype, Tensor] = {}

    @cached_property
    def allowed(self) -> Tensor:
        """Booleans, broadcastable to scores [B, H, T, S], True = may attend."""
        return self._make if isinstance(self._make, Tensor) else self._make()

    @classmethod
    def of(cls, mask: "Tensor | AttentionMask | None") -> "AttentionMask | None":
        """Return a bool mask, which may be one of this class already, with its bias."""
        return cls(mask) if isinstance(mask, Tensor) else mask

    @classmethod
    def causal(cls, length: int, device: torch.device) -> "AttentionMask":
        """Return the mask [T, T] of targets that are all known: row t is True up to column t.

        The mask is made when it is first read: some attentions of long sentences never read it.
        """

        def make() -> Tensor:
            return torch.ones(length, length, dtype=torch.bool, device=device).tril()

        return cls(make, is_causal=True)

    def bias(self, heads: Tensor) -> Tensor:
        """Return 0 where attention is allowed and -inf elsewhere, in the dtype of the heads.

        The bias is computed once. Its rows are padded in memory as fused kernels require.
        """
        found = self._biases.get(heads.dtype)
        if found is None:
            *others, length = self.allowed.shape
            padded = heads.new_zeros(*others, length + -length % _ALIGNMENT)
            found = padded[..., :length].masked_fill_(~self.allowed, float("-inf"))
            self._biases[heads.dtype] = found
        return found

    def index_select(self, dim: int, index: Tensor) -> "AttentionMask":
        """Return the mask of some entries of an axis, as `Tensor.index_select` does."""
        return AttentionMask(self.allowed.index_select(dim, index))


def allowed(mask: Tensor | AttentionMask | None) -> Tensor | None:
    """Return a mask as a bool tensor; None: all may attend."""
    return mask.allowed if isinstance(mask, AttentionMask) else mask
