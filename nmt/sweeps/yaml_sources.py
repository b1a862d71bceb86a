"""Reads the YAML files of users so that text settings keep their text."""

import io
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource,
)
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import OmegaConf

from nmt.config.folders import config_directory
from nmt.config.numbering import counted_from_1
from nmt.errors import UserError
from nmt.sweeps.kept_text import keep_yaml


class KeptFileSource(FileConfigSource):
    """Folders of files: ``configs/``, and those of ``--config-dir`` and ``hydra.searchpath``."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a file; see `kept_text.keep_yaml`.

        Raises:
            UserError: The file cannot be read, or is not valid YAML.
        """
        folder = Path(self.path)
        if folder == config_directory():
            return super().load_config(config_path)
        file = folder / self._normalize_file_name(config_path)
        if not file.is_file():
            return super().load_config(config_path)  # reports the missing file
        try:
            return _kept(self, file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeError) as error:
            raise UserError(f"cannot read {file}: {error}; it must be UTF-8 text") from error


class KeptPackageSource(ImportlibResourcesConfigSource):
    """Files in Python packages, ``pkg://`` in ``hydra.searchpath``."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Load a file, as `KeptFileSource` does."""
        name = self._normalize_file_name(config_path)
        file = resources.files(self.path).joinpath(name)
        if self.provider == "hydra" or not file.is_file():
            return super().load_config(config_path)
        return _kept(self, file.read_text(encoding="utf-8"), f"{self.path}: {name}")


# Launchers send the registry to their workers, which register Hydra's classes again. Hydra
# compares classes by this name.
KeptFileSource.__name__ = FileConfigSource.__name__
KeptPackageSource.__name__ = ImportlibResourcesConfigSource.__name__


def register_sources() -> None:
    """Let Hydra read files and packages with these classes; may be called more than once."""
    Plugins.instance()  # registers Hydra's own sources on first use
    types = SourcesRegistry.instance().types
    types["file"], types["pkg"] = KeptFileSource, KeptPackageSource


_SECTIONS = {"seed", "run", "data", "tokenizer", "model", "training", "decoding", "logging"}
"""Sections that ``config.yaml`` of every run has, but not the files that users write."""


def _kept(
    source: FileConfigSource | ImportlibResourcesConfigSource, text: str, file: str
) -> ConfigResult:
    kept = keep_yaml(text, file)
    try:
        config = OmegaConf.load(io.StringIO(kept))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    if OmegaConf.is_dict(config) and _counts_from_0(config):
        config = OmegaConf.create(
            counted_from_1(OmegaConf.to_container(config))  # type: ignore[arg-type]
        )
    return ConfigResult(
        config=config,
        path=f"{source.scheme()}://{source.path}",
        provider=source.provider,
        header=source._get_header_dict(text[:512]),
    )


def _counts_from_0(config: Any) -> bool:
    """Return whether this is the ``config.yaml`` of a run that counted layers and heads from 0."""
    return "count_from" not in config and config.keys() >= _SECTIONS
