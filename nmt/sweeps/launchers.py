"""Functions for the files in ``configs/hydra/launcher`` and ``configs/hydra/sweeper``."""

import os
from importlib.util import find_spec

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from nmt.config.folders import config_directory
from nmt.errors import UserError


def forget_settings_of_plugins() -> None:
    """Remove the default settings of installed plugins for which `nmt` has a file.

    Otherwise Hydra merges both and prints a warning.
    """
    Plugins.instance()  # discovers the plugins on first use; these store their settings
    groups = ConfigStore.instance().repo.get("hydra", {})
    for group in ("launcher", "sweeper"):
        for file in (config_directory() / "hydra" / group).glob("*.yaml"):
            groups.get(group, {}).pop(file.name, None)


def plugin_class(extra: str, path: str) -> str:
    """Return the path of a plugin's class if the plugin is installed.

    This is the resolver ``${plugin:EXTRA,PATH}``.

    Args:
        extra: The extra of `nmt` that installs the plugin.
        path: The full name of the class.

    Raises:
        UserError: The plugin is not installed.
    """
    parent, package = path.split(".")[:2]
    if find_spec(parent) is None or find_spec(f"{parent}.{package}") is None:
        raise UserError(f"this launcher is not installed: pip install 'nmt[{extra}]'")
    return path


def enter_folder() -> None:
    """Change to the folder in which the sweep was started, given by ``NMT_FOLDER``.

    Ray calls this in each worker. A worker starts in the folder of ``ray start``, but the paths of
    a run may be relative to the folder of the sweep.
    """
    os.chdir(os.environ["NMT_FOLDER"])
