"""The regions of a batch as tensors. Legend: B batch, R regions, F size of a region's vector."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nmt.data.features import RegionArrays


@dataclass(frozen=True)
class Regions:
    """Features of the sentences of a batch.

    Attributes:
        values: [B, R, F] float32.
        mask: [B, R] bool, True at real regions. At least one region per row is True.
    """

    values: Tensor
    mask: Tensor

    @classmethod
    def of_arrays(cls, arrays: RegionArrays) -> "Regions":
        """Make regions that share the memory of arrays."""
        return cls(torch.from_numpy(arrays.values), torch.from_numpy(arrays.mask))

    def map(self, function: Callable[[Tensor], Tensor]) -> "Regions":
        """Return the regions with a function applied to each tensor."""
        return Regions(function(self.values), function(self.mask))

    def with_rows(self, added: int) -> "Regions":
        """Return the regions with ``added`` more rows at the end, each with one region of zeros."""
        if not added:
            return self
        mask = functional.pad(self.mask, (0, 0, 0, added), value=False)
        mask[len(self.mask) :, 0] = True
        return Regions(functional.pad(self.values, (0, 0, 0, 0, 0, added)), mask)
