"""Paths as users write them in settings."""

import os
from pathlib import Path


def user_path(text: str) -> Path:
    """Return a path, where ``~`` at the beginning is the home folder, and ``~NAME`` that of a user.

    An unknown user's name stays as it is written.
    """
    return Path(os.path.expanduser(text))
