"""Registers the typed schemas with Hydra, and finds the configs and corpora that travel along."""

from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from nmt.config.choices import CHOICES, GROUPS
from nmt.config.data import TokenizerConfig
from nmt.config.model import ModelConfig
from nmt.config.schema import (
    Config,
    DecodingConfig,
    LoggingConfig,
    OptimizerConfig,
    TrainingConfig,
)

_SINGLE = {
    "tokenizer": TokenizerConfig,
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "training": TrainingConfig,
    "decoding": DecodingConfig,
    "logging": LoggingConfig,
}


def config_directory() -> Path:
    """Return the folder of the config groups: inside the installed package, or the checkout's."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def group_choices() -> dict[str, list[str]]:
    """Return the names of the files in each config group."""
    root = config_directory()
    choices: dict[str, list[str]] = {}
    for file in sorted(root.glob("*/**/*.yaml")):
        choices.setdefault(str(file.parent.relative_to(root)), []).append(file.stem)
    choices.pop("hydra/help", None)
    return dict(sorted(choices.items()))


def register_schemas() -> None:
    """Make every schema known to Hydra under ``schema/<group>``, for YAML files to extend.

    Help prints ``group_choices`` in place of Hydra's own list, which would name the schemas too.
    """
    OmegaConf.register_new_resolver(
        "group_choices",
        lambda: "\n".join(f"  {group}: {', '.join(c)}" for group, c in group_choices().items()),
        replace=True,
    )
    store = ConfigStore.instance()
    store.store(name="schema_config", node=Config)
    for group, node in _SINGLE.items():
        store.store(group="schema", name=group, node=node)
    for base, choices in CHOICES.items():
        for name, node in choices.items():
            store.store(group=f"schema/{GROUPS[base]}", name=name, node=node)
