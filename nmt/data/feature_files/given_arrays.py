"""Features that are in memory.

Legend: N sentences, R regions, F size of a region's vector.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.data.feature_files.arrays import FeatureArrays, check_numbers, wrong_stack
from nmt.errors import UserError


class GivenArrays(FeatureArrays):
    """The arrays [R, F] of N sentences; each sentence may have another R."""

    def __init__(self, arrays: Sequence[npt.ArrayLike] | npt.NDArray[Any], key: str) -> None:
        """Take the arrays as they are.

        Args:
            arrays: N arrays [R, F], or one array [N, R, F].
            key: How messages name them.

        Raises:
            UserError: There are none, or one is not [R, F] of real numbers.
        """
        if isinstance(arrays, np.ndarray) and (arrays.ndim != 3 or 0 in arrays.shape):
            raise wrong_stack(key, arrays.shape)
        try:
            self._arrays = [np.asarray(array) for array in arrays]
        except (ValueError, TypeError) as error:
            raise UserError(f"{key} has a value that is no array: {error}") from error
        for number, array in enumerate(self._arrays, start=1):
            check_numbers(array, f"{key}, array {number:,}")
            if array.ndim != 2 or 0 in array.shape:
                raise UserError(
                    f"{key}, array {number:,} has the shape {list(array.shape)}; it must be "
                    "[regions, size], neither of them 0"
                )
        if not self._arrays:
            raise UserError(f"{key} has no arrays; give one for each sentence")
        self.size = self._arrays[0].shape[1]
        self.most_regions = max(map(len, self._arrays))

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._arrays)

    def read(self, index: int) -> npt.NDArray[Any]:
        """Return an array, [R, F]."""
        return self._arrays[index]

    def fingerprint(self) -> str:
        """Return a hash of the content."""
        digest = hashlib.sha256()
        for array in self._arrays:
            digest.update(repr((array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
