"""Composes a checked `Config` from overrides with Hydra's compose API."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from nmt.config.checks.check_config import check_config
from nmt.config.folders import config_directory
from nmt.config.plain import to_mapping
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.sweeps.composition_errors import explain, is_defect
from nmt.sweeps.kept_text import keep_override
from nmt.sweeps.registration import register_with_hydra
from nmt.user_path import user_path

_HOME = re.compile(r"^(\+*hydra\.(?:sweep|run)\.dir=)(~.*)$")
_SPLIT = re.compile(r"(data\.(?:valid|test))=(['\"]?)split(?::([^,]*))?\2")


def compose_config(overrides: Sequence[str], settings: Mapping[str, Any]) -> Config:
    """Compose and check a configuration, as `nmt train` would, outside a Hydra application.

    Args:
        overrides: Overrides as on the command line of `nmt train`.
        settings: Values by full key, which are set without parsing.

    Raises:
        UserError: The configuration cannot be composed, or a value is not allowed; the message
            names the setting.
    """
    register_with_hydra()
    of_caller = GlobalHydra.instance().hydra  # the calling program may itself use Hydra
    try:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            composed = compose("train", overrides=list(map(quote_value, overrides)))
        for key, value in settings.items():
            OmegaConf.update(composed, key, value)
        config = typed_config(composed)
    except UserError:
        raise
    except Exception as error:  # Hydra also raises OSError, TypeError, ...
        if is_defect(error):
            raise
        raise explain(error, overrides) from error
    finally:
        GlobalHydra.instance().hydra = of_caller
    check_config(config)
    return config


def to_yaml(config: Config) -> str:
    """Return a configuration as the YAML text of ``config.yaml`` in a run folder."""
    return OmegaConf.to_yaml(OmegaConf.create(to_mapping(config)))


def typed_config(composed: DictConfig) -> Config:
    """Convert a composed configuration to dataclasses.

    Raises:
        UserError: A mandatory setting has no value, or the configuration is not one of nmt train.
        OmegaConfBaseException: A value has the wrong type, or an interpolation fails.
    """
    if missing := sorted(OmegaConf.missing_keys(composed)):
        raise UserError(
            f"{', '.join(missing)} {'are' if len(missing) > 1 else 'is'} not set; "
            f"set {'them' if len(missing) > 1 else 'it'} on the command line, e.g. "
            f"{missing[0]}=..."
        )
    config = OmegaConf.to_object(composed)
    if not isinstance(config, Config):
        raise UserError(
            "the configuration of --config-name lacks the defaults of nmt train; begin it with "
            "'defaults: [train, _self_]', or choose it as experiment=NAME with --config-dir"
        )
    return config


def quote_value(override: str) -> str:
    """Rewrite an override of a user so that Hydra's grammar accepts it.

    - Values outside the grammar, e.g. a path with an umlaut, an = or {lang}, are quoted. So are
      texts that the grammar would read as a number or a boolean.
    - ``~`` in Hydra's own folders becomes the home folder.
    - ``data.valid=split`` holds validation pairs out of the training text; ``split:500`` sets their
      number, ``split:0.1`` their share. The same holds for ``data.test``.
    - ``data.extra.NAME`` adds a source, for which Hydra requires ``++``.
    - ``training.batch_tokens=auto`` becomes 0, because the setting is an integer.
    """
    override = keep_override(_HOME.sub(lambda found: f"{found[1]}{user_path(found[2])}", override))
    key, _, value = override.partition("=")
    if split := _SPLIT.fullmatch(override):
        return f"{split[1]}.held_out={_split_size(split[1], split[3])}"
    if override == "training.batch_tokens=auto":
        return f"{key}=0"
    if not re.search(r"""['"]""", value) and ("{lang}" in value or not _parses(override)):
        plain = value.replace("{lang}", "")
        if value and not re.search(r"[,\[\]{}\\]", plain):
            override = f"{key}='{value}'"
    return f"++{override}" if key.startswith("data.extra.") else override


def _split_size(key: str, size: str | None) -> str:
    """Return the size of a held-out part as a number; "0" without a size.

    Raises:
        UserError: The size is not a positive number.
    """
    if size is None:
        return "0"
    try:
        number = float(size)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise UserError(
            f"{key}=split:{size} needs a number of pairs, as in split:500, or a share below 1, as "
            "in split:0.1"
        )
    return f"{number:.0f}" if number.is_integer() else repr(number)


def _parses(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except (HydraException, ValueError):  # ValueError: an integer of more than 4,300 digits
        return False
    return True
