"""A configuration composed as `nmt train` does it, for commands that are no Hydra application."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.config.check_config import check_config
from nmt.config.folders import config_directory
from nmt.config.schema import Config
from nmt.config.store import register_schemas
from nmt.errors import UserError
from nmt.sweeps.composition_errors import explain, readable


def compose_config(overrides: Sequence[str], settings: Mapping[str, Any]) -> Config:
    """Compose and check a configuration.

    Args:
        overrides: As on the command line of `nmt train`.
        settings: Values to set as they are, by full key.

    Raises:
        UserError: It cannot be composed, or is impossible; the setting is named.
    """
    register_schemas()
    try:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            composed = compose("train", overrides=list(map(readable, overrides)))
        for key, value in settings.items():
            OmegaConf.update(composed, key, value)
        if missing := sorted(OmegaConf.missing_keys(composed)):
            raise UserError(
                f"{', '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set; "
                f"give values, as in {missing[0]}=..."
            )
        config = OmegaConf.to_object(composed)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise explain(error, overrides) from error
    finally:
        GlobalHydra.instance().clear()
    assert isinstance(config, Config)
    check_config(config)
    return config
