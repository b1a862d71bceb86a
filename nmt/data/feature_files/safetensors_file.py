"""Features in safetensors files. Only the tensors that a batch needs are read.

Legend: N sentences, R regions, F size of a region's vector.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.data.feature_files.arrays import FeatureArrays, wrong_stack
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.errors import UserError


def open_safetensors(path: Path, key: str) -> FeatureArrays:
    """Open a file with one tensor [N, R, F], or with a tensor [R, F] for each sentence.

    Raises:
        UserError: The package is not installed, or the file is faulty.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise UserError(f'{key} needs pip install "nmt[safetensors]"') from error
    try:
        file: Any = safe_open(path, framework="numpy")
        names = list(file.keys())
        if _needs_torch(file, names, key):
            file = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise UserError(f"{key} cannot be read: {error}") from error
    if len(names) == 1 and len(file.get_slice(names[0]).get_shape()) == 3:
        return _OneTensor(path, file, names[0], key)
    if not names:
        raise UserError(f"{key} has no tensor")
    return _Tensors(path, file, key)


def _needs_torch(file: Any, names: Sequence[str], key: str) -> bool:
    """Return whether NumPy has no form for the values of a tensor, as for bfloat16.

    Raises:
        UserError: The values of a tensor are not real numbers.
    """
    kinds = {name: str(file.get_slice(name).get_dtype()) for name in names}
    for name, kind in kinds.items():
        if kind[0] not in "FBIU" or kind == "BOOL":
            raise UserError(
                f"{key}, tensor {name} has values of type {kind}; features are real numbers"
            )
    return any(kind == "BF16" or kind.startswith("F8") for kind in kinds.values())


def _array(values: Any) -> npt.NDArray[Any]:
    """Return a NumPy array of an array, or of a tensor in another precision than NumPy has."""
    return np.asarray(values if isinstance(values, np.ndarray) else values.float())


class _Tensors(FeatureArrays):
    """A safetensors file with one tensor [R, F] per sentence; their names are 0, 1, 2, ..."""

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
        return _array(self._file.get_tensor(str(index)))

    def fingerprint(self) -> str:
        return fingerprint_files("features", [self._path])


class _OneTensor(FeatureArrays):
    """A safetensors file with one tensor [N, R, F]."""

    def __init__(self, path: Path, file: Any, name: str, key: str) -> None:
        self._path, self._slice = path, file.get_slice(name)
        shape = self._slice.get_shape()
        if len(shape) != 3 or not all(shape):
            raise wrong_stack(key, shape)
        self._count, self.most_regions, self.size = shape

    def __len__(self) -> int:
        return self._count

    def read(self, index: int) -> npt.NDArray[Any]:
        return _array(self._slice[index : index + 1])[0]

    def fingerprint(self) -> str:
        return fingerprint_files("features", [self._path])
