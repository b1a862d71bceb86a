"""Masks: which keys each query may attend to.

None allows all keys. Otherwise, a mask has one of four forms:

- a bool tensor, True = may attend;
- an additive tensor, 0 = may attend, else -inf, in the steps of search;
- an `AttentionMask`, which has both forms for all layers of a stack;
- a `SentenceMask`, the offsets of the sentences of a packed row.

Legend: B batch, T queries, S keys, H heads. In a packed row: N queries, R sentences.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
    def of(cls, mask: "Mask | None") -> "Mask | None":
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


@dataclass(frozen=True)
class SentenceMask:
    """A mask that allows attention only within each sentence of a packed row.

    Attributes:
        query_offsets: [R + 1] int32, the first query of each sentence, then N.
        key_offsets: [R + 1] int32, the first key of each sentence, then S; with ``causal``, equal
            to ``query_offsets``.
        longest_query: The greatest number of queries of a sentence; an int on the host.
        longest_key: The greatest number of keys of a sentence; an int on the host.
        causal: Whether query t of a sentence attends only to keys 0 to t of the sentence.
    """

    query_offsets: Tensor
    key_offsets: Tensor
    longest_query: int
    longest_key: int
    causal: bool = False

    @cached_property
    def explicit(self) -> Tensor:
        """The mask [N, S] bool, True = may attend; the host waits for N and S."""
        return self.allowed(int(self.query_offsets[-1]), int(self.key_offsets[-1]))

    def explicit_for(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return `explicit` for queries [1, H, N, K] and keys [1, G, S, K], without host waits."""
        if "explicit" not in vars(self):
            vars(self)["explicit"] = self.allowed(queries.size(2), keys.size(2))
        return self.explicit

    def allowed(self, num_rows: int, num_columns: int) -> Tensor:
        """Return the mask of N = ``num_rows`` queries and S = ``num_columns`` keys."""
        device = self.query_offsets.device
        rows, columns = (torch.arange(size, device=device) for size in (num_rows, num_columns))
        ends = self.query_offsets[1:], self.key_offsets[1:]
        of_rows = torch.searchsorted(ends[0], rows, right=True, out_int32=True)
        of_columns = torch.searchsorted(ends[1], columns, right=True, out_int32=True)
        allowed = of_rows[:, None] == of_columns
        return allowed & (columns <= rows[:, None]) if self.causal else allowed


PairMask = Tensor | AttentionMask
"""A mask of pairs of queries and keys, broadcastable to scores [B, H, T, S]."""

Mask = PairMask | SentenceMask
"""A mask of any form."""


def mask_tensor(mask: Mask | None) -> Tensor | None:
    """Return a mask as a bool tensor, or as an additive tensor if it is one."""
    if isinstance(mask, SentenceMask):
        return mask.explicit
    return mask.allowed if isinstance(mask, AttentionMask) else mask


def select_mask(mask: Mask | None, rows: Tensor) -> Mask | None:
    """Return the mask of these rows [R] of the batch."""
    assert not isinstance(mask, SentenceMask)  # only search selects, and it packs no sentences
    return None if mask is None else mask.index_select(0, rows)
