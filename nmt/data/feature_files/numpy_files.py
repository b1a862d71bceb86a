"""Features in .npy files, which are mapped into memory.

Legend: N sentences, R regions, F size of a region's vector.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.data.feature_files.arrays import FeatureArrays, check_numbers, wrong_stack
from nmt.data.feature_files.numbered_files import files_of_folder, files_of_list
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.errors import UserError


def open_stack(path: Path, key: str) -> FeatureArrays:
    """Open one array of all sentences, [N, R, F] or [N, F].

    Raises:
        UserError: The values are not real numbers, or the shape is another.
    """
    return _Stacked(path, key)


def open_folder(folder: Path, key: str) -> FeatureArrays:
    """Open the .npy files of a folder, sorted by name; 2 comes before 10.

    Raises:
        UserError: The folder has no such file, or a file is faulty.
    """
    paths = files_of_folder(folder, [".npy"])
    if not paths:
        raise UserError(f"{key} is a folder without a .npy file")
    return _Listed(paths, key, [])


def open_list(path: Path, key: str) -> FeatureArrays:
    """Open the .npy files that a list names, one per line, relative to its folder.

    Raises:
        UserError: The list is empty, or a file is faulty.
    """
    return _Listed(files_of_list(path), key, [path])


class _Stacked(FeatureArrays):
    """One array of all sentences, [N, R, F], or [N, F] with R = 1."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        self._array = _checked_stack(array, key)
        self.most_regions, self.size = self._array.shape[1:]

    def __len__(self) -> int:
        return len(self._array)

    def read(self, index: int) -> npt.NDArray[Any]:
        return np.asarray(self._array[index])

    def fingerprint(self) -> str:
        return fingerprint_files("features", [self._path])


class _Listed(FeatureArrays):
    """One .npy file per sentence, [R, F], or [F] with R = 1."""

    def __init__(self, paths: Sequence[Path], key: str, also: Sequence[Path]) -> None:
        self._paths, self._key, self._also = paths, key, also
        if not paths:
            raise UserError(f"{key} names no .npy file")
        shapes = [self._open(index).shape for index in range(len(paths))]
        self.size = shapes[0][-1]
        self.most_regions = max(shape[0] for shape in shapes)

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, index: int) -> npt.NDArray[Any]:
        return np.asarray(self._open(index))

    def fingerprint(self) -> str:
        return fingerprint_files("features", [*self._also, *self._paths])

    def _open(self, index: int) -> npt.NDArray[Any]:
        path = self._paths[index]
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"{self._key}, array {index + 1:,} ({path}): {reason}") from error
        check_numbers(array, f"{self._key}, array {index + 1:,} ({path})")
        if array.ndim not in (1, 2):
            raise UserError(
                f"{self._key}, array {index + 1:,} ({path}) has the shape {list(array.shape)}; it "
                "must be [regions, size]"
            )
        return array[None] if array.ndim == 1 else array


def _checked_stack(array: npt.NDArray[Any], key: str) -> npt.NDArray[Any]:
    check_numbers(array, key)
    stacked = array[:, None] if array.ndim == 2 else array
    if stacked.ndim != 3 or not stacked.size:
        raise wrong_stack(key, array.shape)
    return stacked
