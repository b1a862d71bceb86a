"""The interface of the files of features.

Legend: N sentences, R regions, F size of a region's vector.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from nmt.errors import UserError


class FeatureArrays(ABC):
    """The arrays of a file or folder.

    Attributes:
        size: F.
        most_regions: The largest R.
    """

    size: int
    most_regions: int

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of arrays."""

    @abstractmethod
    def read(self, index: int) -> npt.NDArray[Any]:
        """Return the array with this index, [R, F] unless it is faulty."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of the content."""


def check_numbers(array: npt.NDArray[Any], what: str) -> None:
    """Check that the values of an array are real numbers.

    Raises:
        UserError: They are not; ``what`` names the array.
    """
    if array.dtype.kind not in "fiu":
        raise UserError(f"{what} has values of type {array.dtype}; features are real numbers")


def wrong_stack(key: str, shape: Sequence[int]) -> UserError:
    """Return the error of an array of all sentences that is not [N, R, F], or is empty."""
    return UserError(
        f"{key} has the shape {list(shape)}; it must be [sentences, regions, size], none of them 0"
    )
