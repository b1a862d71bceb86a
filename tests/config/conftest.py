import copy
from collections.abc import Callable
from functools import cache

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from nmt.config.schema import Config
from nmt.config.store import config_directory, register_schemas

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
    """Values for what a choice of `data` leaves to the user."""
    return lambda choice: {"files": FILES, "huggingface": HUB}.get(choice, [])


@cache
def _compose(overrides: tuple[str, ...]) -> DictConfig:
    register_schemas()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.fixture
def composed() -> Callable[..., DictConfig]:
    """Compose the configuration that overrides give, as `nmt train` does."""
    return lambda *overrides: copy.deepcopy(_compose(overrides))


@pytest.fixture
def config(composed: Callable[..., DictConfig]) -> Callable[..., Config]:
    """The typed configuration that overrides give."""

    def make(*overrides: str) -> Config:
        made = OmegaConf.to_object(composed(*overrides))
        assert isinstance(made, Config)
        return made

    return make
