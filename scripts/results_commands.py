"""The commands of the rows of docs/results.md: what a record keeps, and the shortest equal one.

A record keeps the command with which its runs were started. A file of configs/experiment may give
the same settings today. `shortest_command` searches for it. The digest of the record proves that
the settings are equal.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nmt.config.folders import config_directory
from nmt.config.plain import flatten, to_mapping
from nmt.config.schema import Config
from nmt.config.store import group_choices
from nmt.errors import UserError
from nmt.run.comparison.tested_runs import settings_without_seed
from nmt.sweeps.overrides import compose_config
from nmt.training.stopping import StopReason

OF_THE_MACHINE = ("run.dir", "seed", "training.threads", "data.cache_dir")
"""Settings that a row's command leaves out: they differ between runs of a row."""
_FOLDERS = ("root", "dir", "teacher", "init_from")
"""The last parts of settings that name folders; others name files."""
_LIMIT = "training.max_minutes"
_PLACES = ("FOLDER", "FILE")


def general_command(command: str) -> str:
    """Return a command of nmt train without what concerns one machine or one seed.

    Raises:
        UserError: It is not a command of nmt train.
    """
    return shlex.join(["nmt", "train", *general_overrides(command)])


def general_overrides(command: str) -> Iterator[str]:
    """Yield the overrides of a command without what concerns one machine or one seed.

    Raises:
        UserError: It is not a command of nmt train.
    """
    words = shlex.split(command)
    if words[:2] != ["nmt", "train"]:
        raise UserError(f"the command is {command!r}; it must begin with nmt train")
    for word in words[2:]:
        key, equals, value = word.partition("=")
        if key.lstrip("+") not in OF_THE_MACHINE:
            yield f"{key}{equals}{general_value(value, key)}"


def general_value(value: Any, key: str = "") -> Any:
    """Return a value in which a path of one machine is FOLDER or FILE, by what the key names."""
    if isinstance(value, Mapping):
        return {name: general_value(part, f"{key}.{name}") for name, part in value.items()}
    if not isinstance(value, str) or not re.match(r"(/|~|\.\.?/)", value):
        return value
    return "FOLDER" if key.rpartition(".")[2] in _FOLDERS else "FILE"


def experiments_of(command: str) -> list[str]:
    """Return the experiments that a command of nmt train chooses."""
    words = [word.partition("=") for word in shlex.split(command)]
    chosen = [value.strip("[]").split(",") for key, _, value in words if key == "experiment"]
    return [name for names in chosen for name in names if name]


def digest(config: Config, *, all_updates: bool) -> str:
    """Return a hash of the settings that runs share if they differ only in seed and folders.

    Args:
        config: The configuration of a run.
        all_updates: Whether the run made all of its `training.max_updates`. If so, its time limit
            had no effect and is left out.
    """
    text = json.dumps(_shared_settings(config, all_updates), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shared_settings(config: Config, all_updates: bool) -> dict[str, Any]:
    settings = settings_without_seed(config)
    if all_updates:
        settings["training"].pop("max_minutes")
    general = general_value(settings)
    assert isinstance(general, dict)
    return general


# ------------------------------------------------------------------------------ the shortest one


def shortest_command(record: Mapping[str, Any]) -> str:
    """Return the shortest command known to give the settings of a record's runs.

    The candidates are the experiments of configs/experiment, each with the overrides that it lacks.
    The digest of the configuration must be that of the record. The limit of time may be longer than
    the recorded one if the runs made all their updates, but never shorter. If no candidate is
    shorter, or the record has no digest, the recorded command is returned.
    """
    command = str(record["command"])
    if record.get("digest") is None or not _free(_overrides(command)):
        return command
    try:
        wanted = _Wanted(record)
    except UserError:  # this version refuses the command
        return command
    return wanted.shortest()


def gives_settings(command: str, record: Mapping[str, Any]) -> bool:
    """Return whether a command gives the settings of a record that has a digest.

    Raises:
        UserError: This version of nmt refuses the command.
    """
    composed = _composed(tuple(_overrides(command)))
    return digest(composed, all_updates=_all_updates(record)) == record["digest"]


def _all_updates(record: Mapping[str, Any]) -> bool:
    return all(run.get("stopped_by") == StopReason.MAX_UPDATES for run in record["runs"])


def _overrides(command: str) -> list[str]:
    return shlex.split(command)[2:]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def _free(words: Sequence[str]) -> list[str]:
    """Return the overrides that an experiment could give: neither experiments nor paths."""
    return [w for w in words if _key(w) != "experiment" and w.partition("=")[2] not in _PLACES]


@cache
def _composed(words: tuple[str, ...]) -> Config:
    """Compose overrides in which FOLDER and FILE are paths, each another one."""
    return compose_config([_with_path(word, n) for n, word in enumerate(words)], {})


def _with_path(word: str, number: int) -> str:
    key, equals, value = word.partition("=")
    return f"{key}{equals}/{value}/{number}" if value in _PLACES else word


class _Wanted:
    """A search for the shortest command that gives the settings of a record."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """Compose the command of the record.

        Raises:
            UserError: This version of nmt refuses the command.
        """
        self._record = record
        self._recorded = _overrides(str(record["command"]))
        config = _composed(tuple(self._recorded))
        self._all_updates = _all_updates(record)
        self._shared = _flat(_shared_settings(config, self._all_updates))
        self._values = _flat(to_mapping(config))
        self._limit = config.training.max_minutes
        self._words = {_key(word): word for word in self._recorded}

    def shortest(self) -> str:
        """Return the command."""
        if not self._equal(self._recorded):
            return str(self._record["command"])  # its settings have other values today
        best = self._recorded
        for conflicts, words in self._starts():
            if conflicts >= len(_free(best)):
                break
            more = self._missing(words)
            if more is None or len(more) + len(_free(words)) >= len(_free(best)):
                continue
            if self._equal([*words, *more]):
                best = [*words, *more]
        best = self._without_redundant(best)
        return shlex.join(["nmt", "train", *best])

    def _starts(self) -> list[tuple[int, list[str]]]:
        """Return the recorded command without its values, with each experiment.

        Each has the least number of overrides that it needs; the fewest are first.
        """
        groups = group_choices()
        kept = [w for w in self._recorded if _key(w) in groups or not _free([w])]
        rest = [word for word in kept if _key(word) != "experiment"]
        found = [(0, kept)]
        mine = experiments_of(str(self._record["command"]))
        choices = _choices(mine, self._recorded)
        for name in groups["experiment"]:
            if _choices([name], rest) == choices:
                conflicts = sum(self._conflicts(*one) for one in _stated(name).items())
                found.append((conflicts, [f"experiment={name}", *rest]))
        return sorted(found, key=lambda one: one[0])

    def _conflicts(self, key: str, value: Any) -> bool:
        """Return whether a value of an experiment needs an override."""
        if key.startswith("/"):
            return False
        unshared = key == _LIMIT or key not in self._shared and key in self._values
        return not unshared and self._values.get(key) != value

    def _missing(self, words: Sequence[str]) -> list[str] | None:
        """Return the overrides that the settings need besides these; None: they are refused."""
        try:
            config = _composed(tuple(words))
        except UserError:
            return None
        mine = _flat(_shared_settings(config, self._all_updates))
        keys = [key for key, value in self._shared.items() if mine.get(key, ...) != value]
        if mine.keys() - self._shared.keys():  # e.g. another kind of model
            return None
        more = [self._words.get(key) or f"{key}={_text(self._values[key])}" for key in keys]
        if self._all_updates and not self._lasts(config):
            more.append(self._words.get(_LIMIT) or f"{_LIMIT}={_text(self._limit)}")
        return more

    def _lasts(self, config: Config) -> bool:
        """Return whether the limit of time is at least the recorded one."""
        limit = config.training.max_minutes
        return limit is None or (self._limit is not None and limit >= self._limit)

    def _without_redundant(self, words: list[str]) -> list[str]:
        """Drop what changes nothing: choices of the experiment, values that follow from others."""
        groups = group_choices()
        added = [w for w in _free(words) if _key(w) in groups or w not in self._recorded]
        for word in added:
            shorter = [other for other in words if other != word]
            if self._equal(shorter):
                words = shorter
        return words

    def _equal(self, words: Sequence[str]) -> bool:
        try:
            config = _composed(tuple(words))
        except UserError:
            return False
        equal = digest(config, all_updates=self._all_updates) == self._record["digest"]
        return equal and self._lasts(config)


def _flat(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in flatten(mapping).items() if not isinstance(v, Mapping)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _choices(experiments: Sequence[str], words: Sequence[str]) -> dict[str, str]:
    """Return what experiments and overrides choose from the groups of `train.yaml`."""
    found = _chosen(config_directory() / "train.yaml")
    found.pop("/experiment")
    for name in experiments:
        found |= {key: value for key, value in _stated(name).items() if key in found}
    groups = {f"/{_key(word)}": word.partition("=")[2] for word in words}
    return found | {key: value for key, value in groups.items() if key in found}


@cache
def _stated(name: str) -> dict[str, Any]:
    """Return the values and choices of an experiment and of the experiments that it extends.

    The key of a choice is that of its group, e.g. ``/data``. Values that refer to others are left
    out.
    """
    path = config_directory() / "experiment" / f"{name}.yaml"
    content = _read(path)
    found: dict[str, Any] = {}
    for base in content.pop("defaults", []):
        if isinstance(base, str) and base != "_self_":
            found |= _stated(base)
    content.pop("hydra", None)
    values = {k: v for k, v in _flat(content).items() if not (isinstance(v, str) and "${" in v)}
    return found | values | _chosen(path)


def _chosen(path: Path) -> dict[str, str]:
    """Return the choices in the defaults of a file by the keys of their groups."""
    pairs = [
        pair
        for one in _read(path).get("defaults", [])
        if isinstance(one, dict)
        for pair in one.items()
    ]
    return {f"/{key.split()[-1].lstrip('/')}": str(value) for key, value in pairs}


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
