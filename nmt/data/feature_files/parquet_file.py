"""Features in a column of a Parquet file; the column is read into memory.

Legend: N sentences, R regions, F size of a region's vector.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nmt.data.feature_files.arrays import FeatureArrays
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.errors import UserError

COLUMN = "features"
"""The column that is read if several columns have lists of numbers."""


def open_parquet(path: Path, key: str) -> FeatureArrays:
    """Open the column with lists of numbers; if there are several, the one named features.

    Raises:
        UserError: There is no such column, it has no row, or the file is damaged.
    """
    try:
        return _Column(path, key)
    except pa.ArrowException as error:  # not all of them are OSError or ValueError
        raise UserError(f"{key} cannot be read: {error}".splitlines()[0]) from error


class _Column(FeatureArrays):
    """A column of lists [R][F], or of vectors [F] with R = 1."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        file = pq.ParquetFile(path, memory_map=True)
        name = _feature_column(file.schema_arrow, key)
        self._column = file.read([name]).column(name)
        self._nested = _is_list(self._column.type.value_type)
        if not len(self._column):
            raise UserError(f"{key} has no row")
        lengths = pc.list_value_length(self._column)
        longest = pc.max(lengths).as_py() or 0
        if self._nested:
            self.most_regions = longest
            self.size = next(
                (self.read(i).shape[1] for i in range(len(self)) if lengths[i].as_py()), 0
            )
        else:
            self.most_regions, self.size = 1, longest

    def __len__(self) -> int:
        return len(self._column)

    def read(self, index: int) -> npt.NDArray[Any]:
        found = self._column[index].values
        if found is None or not len(found):
            return np.zeros((0, 0), dtype=np.float32)
        sizes = np.asarray(pc.list_value_length(found)) if self._nested else np.array([len(found)])
        values = found.flatten() if self._nested else found
        if values.null_count or not np.isfinite(sizes).all() or len(set(sizes.tolist())) != 1:
            raise UserError(
                f"{self._key}, array {index + 1:,} has regions of different sizes, or no value in "
                "some place; each region needs a vector of the same size"
            )
        return values.to_numpy(zero_copy_only=False).reshape(len(sizes), -1)

    def fingerprint(self) -> str:
        return fingerprint_files("features", [self._path])


def _feature_column(schema: pa.Schema, key: str) -> str:
    """Return the name of the column of features.

    Raises:
        UserError: There is none, or several have lists of numbers and none is named features.
    """
    names: Sequence[str] = [field.name for field in schema if _has_numbers(field.type)]
    if COLUMN in names:
        return COLUMN
    if len(names) == 1:
        return names[0]
    which = "no column" if not names else f"several columns ({', '.join(names)})"
    raise UserError(
        f"{key} has {which} with lists of numbers: name the column of features {COLUMN}"
    )


def _has_numbers(kind: pa.DataType) -> bool:
    """Return whether values of a type are vectors of numbers, or lists of such vectors."""
    if not _is_list(kind):
        return False
    inner = kind.value_type.value_type if _is_list(kind.value_type) else kind.value_type
    return bool(pa.types.is_floating(inner) or pa.types.is_integer(inner))


def _is_list(kind: pa.DataType) -> bool:
    lists = pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list
    return any(is_kind(kind) for is_kind in lists)
