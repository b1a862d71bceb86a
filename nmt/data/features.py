"""Features: an array [R, F] for each sentence, e.g. of the regions of a picture.

An array is read when a batch needs it. Array i belongs to line i of the text before any filter.

Legend: N sentences, B sentences of a batch, R regions, F size of a region's vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nmt.data.feature_files.arrays import FeatureArrays
from nmt.data.feature_files.opening import open_arrays
from nmt.errors import UserError

Rows = npt.NDArray[np.integer[Any]] | Sequence[int]


class RegionArrays(NamedTuple):
    """The features of a batch.

    Attributes:
        values: [B, R, F] float32; 0 where a sentence has fewer regions.
        mask: [B, R] bool, True at real regions. At least one region per row is True.
    """

    values: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Features:
    """The arrays of the sentences of a text.

    Attributes:
        source: The file or folder, or the opened arrays.
        key: Its name in messages, as ``data.features.train=FILE``.
        chosen: [N], the index of each sentence's array; None: sentence i has array i.
    """

    source: Path | FeatureArrays
    key: str
    chosen: npt.NDArray[np.int64] | None = None
    _arrays: FeatureArrays = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        source = self.source
        opened = open_arrays(source, self.key) if isinstance(source, Path) else source
        object.__setattr__(self, "_arrays", opened)

    def __reduce__(self) -> tuple[Any, ...]:
        return Features, (self.source, self.key, self.chosen)

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self._arrays) if self.chosen is None else len(self.chosen)

    @property
    def size(self) -> int:
        """F, the size of a region's vector."""
        return self._arrays.size

    @property
    def most_regions(self) -> int:
        """The largest R."""
        return self._arrays.most_regions

    def fingerprint(self) -> str:
        """Return a hash of the content.

        Raises:
            UserError: A file cannot be read.
        """
        return self._arrays.fingerprint()

    def select(self, rows: Rows) -> "Features":
        """Return the features of the sentences with these indices, in this order."""
        rows = np.asarray(rows, dtype=np.int64)
        chosen = rows if self.chosen is None else self.chosen[rows]
        selected = object.__new__(Features)  # shares the open files
        for name, value in {**self.__dict__, "chosen": chosen}.items():
            object.__setattr__(selected, name, value)
        return selected

    def read(self, row: int) -> npt.NDArray[np.float32]:
        """Return the array [R, F] of a sentence.

        Raises:
            UserError: There is no such sentence, or its array is faulty.
        """
        if not 0 <= row < len(self):
            raise UserError(
                f"{self.key} has {len(self):,} arrays, but the text has line {row + 1:,}"
            )
        place = row if self.chosen is None else int(self.chosen[row])
        return self._checked(place, self._arrays.read(place))

    def _checked(self, place: int, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        where = f"{self.key}, array {place + 1:,}"
        if array.ndim != 2 or array.shape[1] != self.size or not len(array):
            shape = list(array.shape)
            raise UserError(
                f"{where} has the shape {shape}; it must be [regions, {self.size}], with 1 region "
                "at least"
            )
        with np.errstate(over="ignore"):  # the next check reports such a value
            values = array.astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            region = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise UserError(
                f"{where}: region {region + 1} has a value that is not finite in float32"
            )
        return values

    def batch(self, rows: Rows, count: int | None = None, width: int | None = None) -> RegionArrays:
        """Return the arrays of some sentences, padded.

        Args:
            rows: The indices of the sentences, at least one.
            count: B of the result. Rows after the sentences have one region of zeros. None: the
                number of sentences.
            width: R of the result. None: the largest R of the sentences.

        Raises:
            UserError: A sentence or an array is faulty.
        """
        arrays = [self.read(int(row)) for row in rows]
        shape = count or len(arrays), width or max(map(len, arrays))
        values = np.zeros((*shape, self.size), dtype=np.float32)
        mask = np.zeros(shape, dtype=np.bool_)
        for row, array in enumerate(arrays):
            values[row, : len(array)] = array
            mask[row, : len(array)] = True
        mask[len(arrays) :, 0] = True
        return RegionArrays(values, mask)

    def check_count(self, lines: int, what: str = "the text") -> None:
        """Check that there is one array per line.

        Raises:
            UserError: There are more or fewer arrays than ``lines``.
        """
        if len(self) != lines:
            raise UserError(
                f"{self.key} has {len(self):,} arrays, but {what} has {lines:,} lines; array i "
                "belongs to line i before any filter"
            )

    def check_values(self) -> None:
        """Read all arrays once and check their shapes and values.

        Raises:
            UserError: An array is faulty.
        """
        for row in range(len(self)):
            self.read(row)
