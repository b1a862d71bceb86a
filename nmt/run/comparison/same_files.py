"""Whether runs have the same files, although their settings name these files differently.

The names ``text``, ``./text/``, ``/home/me/text`` and a link to it may be the same folder. A copy
of the folder has the same text, too.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nmt.config.plain import file_settings, to_naming_mapping
from nmt.config.schema import Config
from nmt.run.run_record import RunRecord
from nmt.user_path import user_path

_MODELS = ("training.init_from", "training.distillation.teacher")
"""Settings that name a run or a checkpoint."""

_NOT_IN_TEXT = ("data.gold.", "data.alignments.valid", "data.alignments.test")
"""Files that `text_fingerprint` does not read: the error rate of alignments needs them."""


def real_names(config: Config) -> dict[str, Any]:
    """Return `to_naming_mapping` with the absolute path of each file, without links.

    Args:
        config: The settings of a run. Relative paths begin in the current folder.
    """
    return _with_names(config, lambda _, name: _real(name))


def without_names(config: Config) -> dict[str, Any]:
    """Return `real_names` without the names of the files of the text.

    Args:
        config: The settings of a run, whose text is compared by its fingerprint instead.
    """
    return _with_names(
        config,
        lambda key, name: _real(name) if key in _MODELS or key.startswith(_NOT_IN_TEXT) else "",
    )


def same_text(records: Sequence[RunRecord]) -> bool:
    """Return whether all runs recorded the same fingerprint of their text."""
    texts = {record.summary.get("text") for record in records}
    return len(texts) == 1 and bool(texts.pop())


def by_configuration(records: Sequence[RunRecord]) -> list[list[int]]:
    """Return groups of runs that differ at most in their seed, in the order of their first runs.

    Names of files may differ if they lead to the same files, or if the runs had the same text.

    Args:
        records: The runs; the groups have their positions.
    """
    groups: list[tuple[set[str], list[int]]] = []
    for n, record in enumerate(records):
        keys, members = _configurations(record), [n]
        for group in [one for one in groups if one[0] & keys]:
            groups.remove(group)
            keys, members = keys | group[0], group[1] + members
        groups.append((keys, sorted(members)))
    return sorted(members for _, members in groups)


def without_seed(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that change the model, without the seed.

    The number of threads is left out, because it changes a model only by rounding.

    Args:
        mapping: The settings of a run.
    """
    kept = {key: value for key, value in mapping.items() if key != "seed"}
    training = {key: value for key, value in mapping["training"].items() if key != "threads"}
    return kept | {"training": training}


def _configurations(record: RunRecord) -> set[str]:
    """Return texts of which runs of the same configuration share at least one."""
    found: list[list[Any]] = [["names", without_seed(real_names(record.config))]]
    if text := record.summary.get("text"):
        found.append([text, without_seed(without_names(record.config))])
    return {json.dumps(one, sort_keys=True) for one in found}


def _with_names(config: Config, rename: Callable[[str, str], str]) -> dict[str, Any]:
    files = {*file_settings(config), *_MODELS}

    def renamed(mapping: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        changed = dict(mapping)
        for name, value in mapping.items():
            key = f"{prefix}{name}"
            if isinstance(value, Mapping):
                changed[name] = renamed(value, f"{key}.")
            elif isinstance(value, str) and (key in files or _is_folder_of_dataset(key, value)):
                changed[name] = rename(key, value)
        return changed

    return renamed(to_naming_mapping(config), "")


def _is_folder_of_dataset(key: str, value: str) -> bool:
    is_dataset = key == "data.path" or (key.startswith("data.") and key.endswith(".dataset"))
    return is_dataset and os.path.isdir(user_path(value))


def _real(name: str) -> str:
    return os.path.realpath(user_path(name))
