"""Registers the typed schemas and the resolvers with Hydra."""

from collections.abc import Callable
from functools import partial

from hydra.core.config_store import ConfigNode, ConfigStore
from omegaconf import DictConfig, OmegaConf

from nmt.config.choices import CHOICES, GROUPS
from nmt.config.filter_settings import FiltersConfig
from nmt.config.folders import config_directory, corpora_directory
from nmt.config.model import ModelConfig
from nmt.config.schema import Config, DecodingConfig, LoggingConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.config.training_settings import TrainingConfig

SECTIONS: dict[str, type] = {
    "data/filters": FiltersConfig,
    "tokenizer": TokenizerConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "decoding": DecodingConfig,
    "logging": LoggingConfig,
}
"""The groups whose choices are values of one dataclass."""


def group_choices() -> dict[str, list[str]]:
    """Return the names of the files in each config group."""
    root = config_directory()
    choices: dict[str, list[str]] = {}
    for file in sorted(root.glob("*/**/[!_]*.yaml")):  # _common is not a choice
        choices.setdefault(str(file.parent.relative_to(root)), []).append(file.stem)
    return dict(sorted(choices.items()))


def register_schemas() -> None:
    """Register every schema under ``schema/<group>``, for YAML files to extend, and the resolvers.

    ``${corpora:phrasebook/test.en}`` is the path of a file of the embedded corpora.
    ``${equal:${data.source_language},de}`` is whether both values are equal.
    """
    OmegaConf.register_new_resolver(
        "corpora", lambda path: str(corpora_directory() / path), replace=True
    )
    OmegaConf.register_new_resolver("equal", lambda one, other: one == other, replace=True)
    store = ConfigStore.instance()
    store.store(name="schema_config", node=Config)
    for path, node in SECTIONS.items():
        group, _, name = f"schema/{path}".rpartition("/")
        store.store(group=group, name=name, node=node)
    for base, choices in CHOICES.items():
        for name in choices:
            _store_lazily(f"schema/{GROUPS[base]}", name, partial(choices.__getitem__, name))


class _LazyNode(ConfigNode):
    """A schema whose dataclass is imported when Hydra first loads it, because it may need torch."""

    def __init__(self, name: str, group: str, load: Callable[[], type]) -> None:
        self.name, self.group, self.package, self.provider = name, group, None, None
        self._load = load
        self._node: DictConfig | None = None

    @property
    def node(self) -> DictConfig:
        if self._node is None:
            self._node = OmegaConf.structured(self._load())
        return self._node

    @node.setter
    def node(self, node: DictConfig) -> None:
        self._node = node


def _store_lazily(group: str, name: str, load: Callable[[], type]) -> None:
    """Store a schema as `ConfigStore.store` does, without its dataclass."""
    folder = ConfigStore.instance().repo
    for part in group.split("/"):
        folder = folder.setdefault(part, {})
    folder[f"{name}.yaml"] = _LazyNode(f"{name}.yaml", group, load)
