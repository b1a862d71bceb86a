"""What files of ``hydra/launcher`` and ``hydra/sweeper`` need: plugins, and a folder to work in."""

import os
from importlib.util import find_spec

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from nmt.config.folders import config_directory
from nmt.errors import UserError


def forget_settings_of_plugins() -> None:
    """Take back the settings that installed plugins have stored under the names of files of ours.

    Hydra would read both, and warn of that.
    """
    Plugins.instance()  # looks for plugins, once
    groups = ConfigStore.instance().repo.get("hydra", {})
    for group in ("launcher", "sweeper"):
        for file in (config_directory() / "hydra" / group).glob("*.yaml"):
            groups.get(group, {}).pop(file.name, None)


def plugin(extra: str, path: str) -> str:
    """Return the path of a class of a Hydra plugin; the resolver ``${plugin:EXTRA,PATH}``.

    Raises:
        UserError: The extra that brings it is not installed.
    """
    parent, package = path.split(".")[:2]
    if find_spec(parent) is None or find_spec(f"{parent}.{package}") is None:
        raise UserError(f"this launcher is not installed: pip install 'nmt[{extra}]'")
    return path


def enter_folder() -> None:
    """Go where the sweep was started, which ``NMT_FOLDER`` names; Ray calls it in each worker.

    A worker stands where ``ray start`` was called, and the paths of a run may be relative.
    """
    os.chdir(os.environ["NMT_FOLDER"])
