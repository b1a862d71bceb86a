"""Finds the configs and embedded corpora: in the installed package, or in the checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def config_directory() -> Path:
    """Return the folder of the config groups."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def corpora_directory() -> Path:
    """Return the folder of the embedded corpora."""
    installed = _PACKAGE / "corpora"
    return installed if installed.is_dir() else _PACKAGE.parent / "data"
