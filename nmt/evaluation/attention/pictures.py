"""Pictures of the source lines, on whose regions attention weights are drawn.

Legend: N lines, Y and X height and width in pixels, R regions.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.data.feature_files.numbered_files import files_of_folder, files_of_list
from nmt.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FORMATS = (
    "a .npy file [lines, height, width, 3], a folder of pictures, or a .txt file of their names"
)

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pictures:
    """One picture for each line, and how the regions divide each picture.

    Attributes:
        path: The file or folder.
        grid: Rows and columns of regions; None: their numbers are equal.
        count: N.
    """

    path: Path
    grid: tuple[int, int] | None
    count: int
    _read: Callable[[int], npt.NDArray[Any]]

    def read(self, index: int) -> Pixels:
        """Return a picture [Y, X, 3], values from 0 to 1.

        Raises:
            UserError: The picture cannot be read, or its shape or values are invalid.
        """
        where = f"--pictures {self.path}, picture {index + 1:,}"
        try:
            pixels = self._read(index)
        except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: a damaged PNG
            raise UserError(f"{where} cannot be read: {error}") from error
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or not pixels.size:
            shape = list(pixels.shape)
            raise UserError(f"{where} has the shape {shape}; it must be [height, width, 3]")
        largest = 255 if pixels.dtype.kind in "iu" else 1
        if not (pixels.min() >= 0 and pixels.max() <= largest):
            raise UserError(
                f"{where} has values from {pixels.min():g} to {pixels.max():g}; they must be whole "
                "numbers from 0 to 255, or other numbers from 0 to 1"
            )
        return pixels[..., :3].astype(np.float32) / np.float32(largest)

    def grid_of(self, regions: int) -> tuple[int, int]:
        """Return the numbers of rows and columns of R regions, which are numbered row by row.

        Raises:
            UserError: The grid does not have R regions, or R is not a square and no grid is given.
        """
        if self.grid is None:
            side = math.isqrt(regions)
            if side * side != regions:
                raise UserError(
                    f"{regions} regions are not a square: give their rows and columns by "
                    "--picture-grid ROWSxCOLUMNS"
                )
            return side, side
        rows, columns = self.grid
        if rows * columns != regions:
            raise UserError(
                f"--picture-grid {rows}x{columns} has {rows * columns} regions, but the features "
                f"have {regions}"
            )
        return self.grid


def open_pictures(path: Path, grid: tuple[int, int] | None, lines: int) -> Pictures:
    """Open pictures, one per line of text.

    Args:
        path: A file with an array of all pictures, a folder of pictures, or a list of their names.
        grid: Rows and columns of regions; None: their numbers are equal.
        lines: The number of lines.

    Raises:
        UserError: The path does not exist, its format is unknown, or the number of pictures is not
            ``lines``.
    """
    if not path.exists():
        raise UserError(f"--pictures {path}: there is no such file or folder")
    try:
        count, read = _opened(path)
    except (OSError, ValueError) as error:
        raise UserError(f"--pictures {path} cannot be read: {error}") from error
    if count != lines:
        raise UserError(
            f"--pictures {path} has {count:,} pictures, but there are {lines:,} lines; picture i "
            "belongs to line i"
        )
    return Pictures(path, grid, count, read)


def _opened(path: Path) -> tuple[int, Callable[[int], npt.NDArray[Any]]]:
    if path.suffix == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.ndim not in (3, 4) or array.dtype.kind not in "biuf":
            raise UserError(
                f"--pictures {path} has the shape {list(array.shape)} and values of type "
                f"{array.dtype}; it must be [lines, height, width, 3], of real numbers"
            )
        return len(array), lambda index: np.asarray(array[index])
    if path.is_dir():
        files = files_of_folder(path, SUFFIXES)
    elif path.suffix == ".txt":
        files = files_of_list(path)
    else:
        raise UserError(f"--pictures {path} is not a format of pictures: give {_FORMATS}")
    return len(files), lambda index: _image(files[index])


def _image(path: Path) -> npt.NDArray[Any]:
    from PIL import Image  # Pillow is a requirement of matplotlib

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
