"""Registers everything of `nmt` with Hydra: schemas, resolvers, launchers and the sweeper."""

import textwrap

from omegaconf import OmegaConf

from nmt.config.store import group_choices, register_schemas
from nmt.sweeps.launchers import forget_settings_of_plugins, plugin_class
from nmt.sweeps.optuna_sweeper import register_sweeper


def register_with_hydra() -> None:
    """Register what ``configs/`` refers to; may be called more than once.

    ``${plugin:EXTRA,PATH}`` is a class of a plugin that an extra installs. ``${group_choices:}`` is
    the list of groups that `nmt train --help` prints; Hydra's own list would include the schemas.
    """
    register_schemas()
    OmegaConf.register_new_resolver("plugin", plugin_class, replace=True)
    OmegaConf.register_new_resolver("group_choices", _group_list, replace=True)
    forget_settings_of_plugins()
    register_sweeper()


def _group_list() -> str:
    choices = {group: names for group, names in group_choices().items() if group != "hydra/help"}
    return "\n".join(
        textwrap.fill(
            f"{group}: {', '.join(names)}", 100, initial_indent="  ", subsequent_indent="    "
        )
        for group, names in choices.items()
    )
