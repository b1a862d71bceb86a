"""Registers the typed schemas and the resolvers with Hydra."""

import textwrap
from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from nmt.config.choices import CHOICES, GROUPS
from nmt.config.data import FiltersConfig, TokenizerConfig
from nmt.config.folders import config_directory, corpora_directory
from nmt.config.model import ModelConfig
from nmt.config.schema import (
    Config,
    DecodingConfig,
    LoggingConfig,
    TrainingConfig,
)

_SINGLE = {
    "data/filters": FiltersConfig,
    "tokenizer": TokenizerConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "decoding": DecodingConfig,
    "logging": LoggingConfig,
}


def group_choices() -> dict[str, list[str]]:
    """Return the names of the files in each config group."""
    root = config_directory()
    choices: dict[str, list[str]] = {}
    for file in sorted(root.glob("*/**/[!_]*.yaml")):  # _common is no choice
        choices.setdefault(str(file.parent.relative_to(root)), []).append(file.stem)
    choices.pop("hydra/help", None)
    return dict(sorted(choices.items()))


def register_schemas() -> None:
    """Make every schema known to Hydra under ``schema/<group>``, for YAML files to extend.

    Help prints ``group_choices`` in place of Hydra's own list, which would name the schemas too;
    ``${corpora:phrasebook/test.en}`` is the path of a file of the embedded corpora, and
    ``${equal:${data.source_language},de}`` is true or false.
    """
    OmegaConf.register_new_resolver(
        "corpora", lambda path: str(corpora_directory() / path), replace=True
    )
    OmegaConf.register_new_resolver("equal", lambda one, other: one == other, replace=True)
    OmegaConf.register_new_resolver(
        "group_choices",
        lambda: "\n".join(_listed(group, names) for group, names in group_choices().items()),
        replace=True,
    )
    store = ConfigStore.instance()
    store.store(name="schema_config", node=Config)
    for path, node in _SINGLE.items():
        group, _, name = f"schema/{path}".rpartition("/")
        store.store(group=group, name=name, node=node)
    for base, choices in CHOICES.items():
        for name, node in choices.items():
            store.store(group=f"schema/{GROUPS[base]}", name=name, node=node)


def _listed(group: str, names: Sequence[str]) -> str:
    text = f"{group}: {', '.join(names)}"
    return textwrap.fill(text, 100, initial_indent="  ", subsequent_indent="    ")
