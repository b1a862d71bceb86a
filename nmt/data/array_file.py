"""Arrays in .npy files of NumPy: written in parts, memory-mapped for reading."""

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt


class _Closing(ABC):
    """A context manager that closes itself when its ``with`` block ends."""

    @abstractmethod
    def close(self) -> None:
        """Complete the files."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class ArrayWriter(_Closing):
    """Writes one .npy file in parts, so that only one part is in memory at a time.

    The header, which has the number of rows, is written again at the end. Its length does not
    change, because NumPy pads it.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, row: tuple[int, ...] = ()) -> None:
        """Create an array file [rows, *row] with this dtype."""
        self._file = path.open("wb")
        self._dtype, self._row, self._count = np.dtype(dtype), row, 0
        self._write_header()

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Append rows [N, *row]. Another dtype is converted; its values must fit."""
        converted = np.ascontiguousarray(rows, dtype=self._dtype)
        assert converted.shape[1:] == self._row
        self._file.write(converted.data)
        self._count += len(converted)

    def close(self) -> None:
        """Write the final header and close the file."""
        if not self._file.closed:
            self._write_header()
            self._file.close()

    def _write_header(self) -> None:
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._count, *self._row),
            },
        )


class RaggedWriter(_Closing):
    """Writes sequences of different lengths in parts: an array of all rows, and their offsets."""

    def __init__(
        self, rows: Path, offsets: Path, dtype: npt.DTypeLike, row: tuple[int, ...] = ()
    ) -> None:
        """Create both files."""
        self._rows, self._offsets = ArrayWriter(rows, dtype, row), ArrayWriter(offsets, np.int64)
        self._offsets.append(np.zeros(1, dtype=np.int64))
        self._end = 0

    def append_rows(self, rows: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> None:
        """Append sequences; sequence i of the part is ``rows[offsets[i]:offsets[i + 1]]``."""
        self._rows.append(rows)
        self._offsets.append(offsets[1:] - offsets[0] + self._end)
        self._end += len(rows)

    def close(self) -> None:
        """Complete both files."""
        self._rows.close()
        self._offsets.close()


def open_array(path: Path) -> npt.NDArray[Any]:
    """Memory-map an array file; its rows stay on disk until they are read.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not an array file, or it is truncated.
    """
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:
        array: npt.NDArray[Any] = np.load(path, allow_pickle=False)  # empty arrays cannot be mapped
        if array.size:
            raise
        return array


def file_of(stem: Path, kind: str) -> Path:
    """Return the file of one array of prepared data, e.g. ``<stem>.offsets.npy``."""
    return stem.with_name(f"{stem.name}.{kind}.npy")
