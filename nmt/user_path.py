"""Paths as users write them in settings."""

import os
from pathlib import Path


def user_path(text: str) -> Path:
    """Return a path; ``~`` at the beginning is the home folder, ``~NAME`` the one of user NAME.

    If there is no such user, ``~NAME`` stays.
    """
    return Path(os.path.expanduser(text))
