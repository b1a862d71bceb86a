import copy
from collections.abc import Callable
from functools import cache

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from nmt.config.folders import config_directory
from nmt.config.schema import Config
from nmt.config.store import register_schemas

FILES = [
    "data.source_language=en",
    "data.target_language=de",
    *(
        f"data.{split}.{side}={split}.{language}"
        for split in ("train", "valid", "test")
        for side, language in (("source", "en"), ("target", "de"))
    ),
]
HUB = ["data.path=someone/something", "data.source_language=en", "data.target_language=de"]


REGIONS = [
    "model.tying=decoder",
    "model.encoder.feature_size=4",
    *(f"data.features.{split}=features.npy" for split in ("train", "valid", "test")),
]


@pytest.fixture
def fill() -> Callable[[str], list[str]]:
    """Values for the settings that a choice requires from the user."""
    return lambda choice: {"files": FILES, "huggingface": HUB, "regions": REGIONS}.get(choice, [])


@cache
def _compose(overrides: tuple[str, ...], with_hydra: bool = False) -> DictConfig:
    register_schemas()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", overrides=list(overrides), return_hydra_config=with_hydra)


@pytest.fixture
def sweep_jobs() -> Callable[[str], list[list[str]]]:
    """The overrides of each job of a `sweep`, as Hydra's sweeper derives them from its file."""

    def jobs(sweep: str) -> list[list[str]]:
        params = _compose((f"sweep={sweep}",), with_hydra=True).hydra.sweeper.params
        parsed = OverridesParser.create().parse_overrides([f"{k}={v}" for k, v in params.items()])
        (batch,) = BasicSweeper.split_arguments(parsed, None)
        return batch

    return jobs


@pytest.fixture
def composed() -> Callable[..., DictConfig]:
    """Compose the configuration with these overrides, as `nmt train` does.

    Choices of groups are composed once per module. Values are then set by the code that Hydra uses.
    """

    def make(*overrides: str) -> DictConfig:
        values = [override for override in overrides if _sets_a_value(override)]
        made = copy.deepcopy(_compose(tuple(o for o in overrides if o not in values)))
        parsed = OverridesParser.create().parse_overrides(values)
        ConfigLoaderImpl._apply_overrides_to_config(parsed, made)
        return made

    return make


def _sets_a_value(override: str) -> bool:
    """Return whether an override can be applied to a composed configuration."""
    key = override.partition("=")[0]
    return "." in key and not set("/@+~") & set(key) and not key.startswith("hydra.")


@pytest.fixture
def config(composed: Callable[..., DictConfig]) -> Callable[..., Config]:
    """Compose the typed configuration with these overrides."""

    def make(*overrides: str) -> Config:
        made = OmegaConf.to_object(composed(*overrides))
        assert isinstance(made, Config)
        return made

    return make
