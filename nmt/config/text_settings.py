"""The settings whose type is text; Hydra and YAML must not convert their values."""

import dataclasses
import re
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from nmt.config.choices import CHOICES
from nmt.config.schema import Config
from nmt.config.setting import without_none
from nmt.config.source_settings import SourceConfig

_OF_HYDRA = (
    *("hydra.job.name", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"),
    *("hydra.sweeper.storage", "hydra.sweeper.study_name"),
)
"""Hydra's own text settings that users of `nmt` set."""

_NUMBERS = ("seed", "count_from")
"""The settings without a section; all other keys without a dot are config groups."""

_EXTRA = "data.extra."


def is_text(key: str) -> bool:
    """Return whether a setting is a text or a list of texts.

    Args:
        key: Its full key, e.g. ``data.extra.NAME.tag``, or a config group, whose choice is a text.
    """
    if key.startswith(_EXTRA):
        return key.removeprefix(_EXTRA).partition(".")[2] in _texts(SourceConfig)
    return key in text_settings() or ("." not in key and key not in _NUMBERS)


def ends_text_setting(path: str) -> bool:
    """Return whether a path in a YAML file, which may start at any section, is a text setting.

    When a file is read, its package is not known, so the beginning of the full key is not known. No
    text setting has the same last names as a setting of another type.
    """
    extra = re.fullmatch(r"(?:.*\.)?extra\..+\.(\w+)", path)
    return path in _ends() or (extra is not None and extra[1] in _texts(SourceConfig))


@cache
def text_settings() -> frozenset[str]:
    """Return the full keys of all text settings, except those below ``data.extra``."""
    return frozenset({key for key, hint in _settings(Config, "") if _is_text(hint)} | {*_OF_HYDRA})


@cache
def _ends() -> frozenset[str]:
    keys = [key.split(".") for key in text_settings()]
    return frozenset(".".join(names[at:]) for names in keys for at in range(len(names)))


@cache
def _texts(cls: type) -> frozenset[str]:
    return frozenset(key for key, hint in _settings(cls, "") if _is_text(hint))


def _settings(cls: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield full keys and types of the settings of a dataclass and of the sections below it."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        key, hint = f"{prefix}{field.name}", without_none(hints[field.name])
        if hint in CHOICES:
            for choice in CHOICES[hint].values():
                yield from _settings(choice, f"{key}.")
        elif dataclasses.is_dataclass(hint):
            yield from _settings(hint, f"{key}.")
        else:
            yield key, hint


def _is_text(hint: Any) -> bool:
    return hint in (str, list[str])
