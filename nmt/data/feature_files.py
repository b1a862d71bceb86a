"""Files of features: NumPy arrays, folders and lists of them, and safetensors, read by index.

Legend: N sentences, R regions, F size of a region's vector.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.data.sources.fingerprint import fingerprint_files
from nmt.errors import UserError

FORMATS = "a .npy file, a .safetensors file, a folder of .npy files, or a .txt file that lists them"


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
        """Return an array, [R, F] unless it is faulty."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of the content."""


def open_arrays(path: Path, key: str) -> FeatureArrays:
    """Open a file or folder of features.

    Args:
        path: The file or folder; the end of a file's name shows its format.
        key: How messages name it.

    Raises:
        UserError: It does not exist, cannot be read, or has another format or shape.
    """
    try:
        if os.path.isdir(path):
            return _Listed(_of_folder(path, key), key, [])
        if not os.path.exists(path):
            raise UserError(f"{key}: there is no such file or folder")
        match path.suffix:
            case ".npy":
                return _Stacked(path, key)
            case ".safetensors":
                return _open_safetensors(path, key)
            case ".txt":
                return _Listed(_of_list(path), key, [path])
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{key} cannot be read: {reason}") from error
    raise UserError(f"{key} is not a format of features: give {FORMATS}")


class _Stacked(FeatureArrays):
    """One array of all sentences, [N, R, F], or [N, F] with one region each."""

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
    """One .npy file [R, F], or [F] with one region, of each sentence."""

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
        _check_numbers(array, f"{self._key}, array {index + 1:,} ({path})")
        if array.ndim not in (1, 2):
            raise UserError(
                f"{self._key}, array {index + 1:,} ({path}) has the shape {list(array.shape)}; it "
                "must be [regions, size]"
            )
        return array[None] if array.ndim == 1 else array


class _Tensors(FeatureArrays):
    """A safetensors file with a tensor [R, F] for each sentence, named 0, 1, 2, ..."""

    def __init__(self, path: Path, file: Any, key: str) -> None:
        self._path, self._file = path, file
        names = set(file.keys())
        missing = next((i for i in range(len(names)) if str(i) not in names), None)
        if missing is not None:
            raise UserError(
                f"{key} has no tensor {missing}: name the tensors 0, 1, 2, ... by their lines, or "
                "store one tensor [sentences, regions, size]"
            )
        shapes = [file.get_slice(str(i)).get_shape() for i in range(len(names))]
        wrong = next((i for i, shape in enumerate(shapes) if len(shape) != 2), None)
        if wrong is not None:
            raise UserError(
                f"{key}, tensor {wrong} has the shape {shapes[wrong]}; it must be [regions, size]"
            )
        self._count, self.size = len(names), shapes[0][1]
        self.most_regions = max(shape[0] for shape in shapes)

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> npt.NDArray[Any]:
        return np.asarray(self._file.get_tensor(str(index)))

    def fingerprint(self) -> str:
        return fingerprint_files("features", [self._path])


class _OneTensor(FeatureArrays):
    """A safetensors file with one tensor [N, R, F]."""

    def __init__(self, path: Path, file: Any, name: str, key: str) -> None:
        self._path, self._slice = path, file.get_slice(name)
        shape = self._slice.get_shape()
        if len(shape) != 3 or not all(shape):
            raise _wrong_stack(key, shape)
        self._count, self.most_regions, self.size = shape

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> npt.NDArray[Any]:
        return np.asarray(self._slice[index : index + 1])[0]

    def fingerprint(self) -> str:
        return fingerprint_files("features", [self._path])


def _open_safetensors(path: Path, key: str) -> FeatureArrays:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise UserError(f'{key} needs pip install "nmt[safetensors]"') from error
    try:
        file: Any = safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise UserError(f"{key} cannot be read: {error}") from error
    names = list(file.keys())
    if len(names) == 1 and len(file.get_slice(names[0]).get_shape()) == 3:
        return _OneTensor(path, file, names[0], key)
    if not names:
        raise UserError(f"{key} has no tensor")
    return _Tensors(path, file, key)


def _checked_stack(array: npt.NDArray[Any], key: str) -> npt.NDArray[Any]:
    _check_numbers(array, key)
    stacked = array[:, None] if array.ndim == 2 else array
    if stacked.ndim != 3 or not stacked.size:
        raise _wrong_stack(key, array.shape)
    return stacked


def _check_numbers(array: npt.NDArray[Any], what: str) -> None:
    if array.dtype.kind not in "fiu":
        raise UserError(f"{what} has values of type {array.dtype}; features are real numbers")


def _wrong_stack(key: str, shape: Sequence[int]) -> UserError:
    return UserError(
        f"{key} has the shape {list(shape)}; it must be [sentences, regions, size], none of them 0"
    )


def _of_folder(folder: Path, key: str) -> list[Path]:
    """Return the .npy files of a folder; numbers in their names count as numbers."""
    paths = sorted(folder.glob("*.npy"), key=lambda path: _natural(path.name))
    if not paths:
        raise UserError(f"{key} is a folder without a .npy file")
    return paths


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _of_list(path: Path) -> list[Path]:
    """Return the files that a list names, one a line, relative to its folder."""
    names = path.read_text(encoding="utf-8").split("\n")
    return [path.parent / name for name in map(str.strip, names) if name]
