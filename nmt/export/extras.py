"""Imports libraries that only an export needs; each belongs to an extra of the package."""

from importlib import import_module
from typing import Any

from nmt.errors import UserError


def required(library: str, extra: str) -> Any:
    """Import a library.

    Args:
        library: The module.
        extra: The extra of this package that installs the library.

    Raises:
        UserError: The library is not installed.
    """
    try:
        return import_module(library)
    except ImportError as error:
        name = library.partition(".")[0]
        raise UserError(f"{name} is not installed: pip install 'nmt[{extra}]'") from error
