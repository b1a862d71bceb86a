"""Opens a file or folder of features; the suffix of a file shows its format."""

import os
from pathlib import Path

from nmt.data.feature_files.arrays import FeatureArrays
from nmt.data.feature_files.numpy_files import open_folder, open_list, open_stack
from nmt.data.feature_files.safetensors_file import open_safetensors
from nmt.errors import UserError

FORMATS = (
    "a .npy, .safetensors or .parquet file, a folder of .npy files, or a .txt file that lists them"
)


def open_arrays(path: Path, key: str) -> FeatureArrays:
    """Open a file or folder of features.

    Args:
        path: The file or folder; the suffix of a file shows its format.
        key: Its name in messages.

    Raises:
        UserError: It does not exist, cannot be read, or has another format or shape.
    """
    try:
        if os.path.isdir(path):
            return open_folder(path, key)
        if not os.path.exists(path):
            raise UserError(f"{key}: there is no such file or folder")
        match path.suffix:
            case ".npy":
                return open_stack(path, key)
            case ".safetensors":
                return open_safetensors(path, key)
            case ".parquet":
                from nmt.data.feature_files.parquet_file import open_parquet  # slow to import

                return open_parquet(path, key)
            case ".txt":
                return open_list(path, key)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{key} cannot be read: {reason}") from error
    raise UserError(f"{key} is not a format of features: give {FORMATS}")
