import copy
from collections.abc import Callable
from functools import cache

import pytest
from hydra import compose, initialize_config_dir
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


@pytest.fixture
def fill() -> Callable[[str], list[str]]:
    """Values for the settings that a choice of `data` requires from the user."""
    return lambda choice: {"files": FILES, "huggingface": HUB}.get(choice, [])


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
    """Compose the configuration with these overrides, as `nmt train` does."""
    return lambda *overrides: copy.deepcopy(_compose(overrides))


@pytest.fixture
def config(composed: Callable[..., DictConfig]) -> Callable[..., Config]:
    """Compose the typed configuration with these overrides."""

    def make(*overrides: str) -> Config:
        made = OmegaConf.to_object(composed(*overrides))
        assert isinstance(made, Config)
        return made

    return make
