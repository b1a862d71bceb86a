"""Registers schemas, resolvers, launchers, sweepers and the reader of YAML files with Hydra."""

from omegaconf import OmegaConf

from nmt.config.store import register_schemas
from nmt.sweeps.grid_sweeper import register_grid_sweeper
from nmt.sweeps.launchers import forget_settings_of_plugins, plugin_class
from nmt.sweeps.optuna_sweeper import register_sweeper
from nmt.sweeps.yaml_sources import register_sources


def register_with_hydra() -> None:
    """Register all parts that ``configs/`` refers to; may be called more than once.

    The resolver ``${plugin:EXTRA,PATH}`` is `plugin_class`.
    """
    register_schemas()
    OmegaConf.register_new_resolver("plugin", plugin_class, replace=True)
    forget_settings_of_plugins()
    register_sweeper()
    register_grid_sweeper()
    register_sources()
