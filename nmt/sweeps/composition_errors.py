"""Converts exceptions of Hydra and OmegaConf to one-line messages for the user."""

import difflib
import os
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import OverrideParseException
from omegaconf import DictConfig, ListConfig, OmegaConf

import nmt
from nmt.config.folders import config_directory
from nmt.errors import CombinationError, UserError
from nmt.sweeps.misplaced_settings import explain_misplaced

_SAME_END = 0.8  # similarity from 0 to 1; lower, "nothing" would suggest "tying"


def is_defect(error: Exception) -> bool:
    """Return whether nmt's own code raised an error that is not meant for users.

    Hydra and OmegaConf raise errors of any type on invalid settings. Every error from outside nmt
    therefore counts as an error in the settings. A defect keeps its traceback.
    """
    frames = traceback.extract_tb(error.__traceback__)
    package = str(Path(nmt.__file__).parent)
    return bool(frames) and frames[-1].filename.startswith(package)


def explain(error: Exception, arguments: Sequence[str]) -> UserError:
    """Return an error that names the wrong override and the most similar valid one.

    It is a `CombinationError` if the override is valid under another choice of a group.

    Args:
        error: The exception of Hydra or OmegaConf.
        arguments: The command line of `nmt train`.
    """
    if user_error := _user_error_behind(error):
        return user_error
    if isinstance(error, OverrideParseException):
        return _parse_error(error)
    if isinstance(error, ValueError):  # Hydra raises it for GROUP= without a choice
        groups = _groups()
        for key, _, value in (argument.partition("=") for argument in arguments):
            if key in groups and not os.path.exists(config_directory() / key / f"{value}.yaml"):
                return _unknown_choice(f"{key}/{value}")
    message = str(error)
    cause = error.__cause__ or error.__context__
    if found := re.search(r"Could not override '([^']+)'", message):
        return _unknown_key(found[1], arguments)
    if found := re.search(r"Could not find '([^']+)'", message):
        return _unknown_choice(found[1])
    if isinstance(error, OSError):  # also the base class of Hydra's error for a missing choice
        return UserError(f"the settings cannot be read: {_system_message(error)}")
    if found := re.search(r"[Ee]rror merging override (\S+)", message):
        if reason := _whole_section(found[1]):
            return UserError(reason)
        return UserError(f"{found[1]}: {_one_line(str(cause).split('full_key')[0])}")
    return UserError(_one_line(message) or f"the settings cannot be read: {type(error).__name__}")


def _system_message(error: OSError) -> str:
    """Return the message of the operating system with up to 60 characters of the file name."""
    name = "" if error.filename is None else f": {Path(str(error.filename)).name[:60]}"
    return f"{error.strerror or error}{name}"


def _user_error_behind(error: BaseException | None) -> UserError | None:
    """Return the `UserError` of a resolver of `nmt`, which OmegaConf wraps in its own error."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _whole_section(override: str) -> str | None:
    """Return a message if the override assigns one value to a whole section or list."""
    key, _, value = override.lstrip("+").partition("=")
    if key == "data.extra":
        return f"{override} does not name the source; write data.extra.NAME.path={value}"
    node = OmegaConf.select(_composed([]), key)
    if key in ("data.train", "data.valid", "data.test"):
        if value == "null":
            return f"{override}: training requires this section"
        return f"{override}: {key} is a section; set the file with {key}.path={value}"
    if isinstance(node, ListConfig):
        return f"{override}: {key} is a list; write '{key}=[{value.strip('()')}]'"
    if not isinstance(node, DictConfig):
        return None
    group = key.replace(".", "/")
    if group in _groups():
        return f"{override}: {key} is a group; choose from it with {group}={value}"
    return f"{override}: {key} is a section; set one of its keys: {', '.join(map(str, node))}"


def _parse_error(error: OverrideParseException) -> UserError:
    if "=" not in error.override:
        return UserError(f"{error.override} has no value; write {error.override}=VALUE")
    key, _, value = error.override.partition("=")
    if "/" in key and "." in key:
        dotted, value = key.replace("/", "."), value.strip("'")  # `quote_value` may have added them
        return UserError(f"{key} is neither a group nor a setting; did you mean {dotted}={value}?")
    return UserError(
        f"cannot parse {error.override}; put a value with special characters in quotes, "
        "e.g. \"run.dir='a=b'\""
    )


def _unknown_key(key: str, arguments: Sequence[str]) -> UserError:
    if key in _groups():
        parent, _, leaf = key.rpartition("/")
        owners = [
            f"{parent}={file.stem}"
            for file in sorted((config_directory() / parent).glob("*.yaml"))
            if f"- {leaf}:" in file.read_text(encoding="utf-8")
        ]
        return CombinationError(f"{key} belongs to {' or '.join(owners)}; also choose that")
    choices, several = _choices(arguments)
    if misplaced := explain_misplaced(key, choices, _composed, several_jobs=several):
        return CombinationError(misplaced)
    keys = list(setting_paths(_composed(choices)))
    if nearest := difflib.get_close_matches(key, keys, n=1, cutoff=0.6):
        return UserError(f"there is no setting {key}; did you mean {nearest[0]}?")
    last = key.rsplit(".", 1)[-1]
    ends = {known.rsplit(".", 1)[-1]: known for known in keys}
    if nearest := difflib.get_close_matches(last, ends, n=1, cutoff=_SAME_END):
        return UserError(f"there is no setting {key}; did you mean {ends[nearest[0]]}?")
    return UserError(f"there is no setting {key}; nmt train --cfg job lists all settings")


def _unknown_choice(name: str) -> UserError:
    group, _, choice = name.rpartition("/")
    folder = config_directory() / group
    files = folder.glob("[!_]*.yaml") if folder.is_dir() else []
    known = sorted(file.stem for file in files)
    nearest = difflib.get_close_matches(choice, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    return UserError(f"there is no {group}={choice}; {hint}choose from {', '.join(known)}")


def _groups() -> set[str]:
    root = config_directory()
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_dir()}


def _choices(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the fixed group choices, and whether the jobs of a sweep vary other groups."""
    groups = _groups()
    chosen = [argument for argument in arguments if argument.split("=")[0] in groups]
    one = [c for c in chosen if "," not in c or c.partition("=")[2].startswith("[")]
    return one, len(one) < len(chosen) or any(c.startswith("sweep=") for c in one)


def _composed(choices: Sequence[str]) -> DictConfig:
    """Compose a configuration from group choices."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", overrides=list(choices))


def setting_paths(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield the full keys of all sections and settings below a node."""
    for key in node:
        path = f"{prefix}{key!s}"
        yield path
        child: Any = OmegaConf.select(node, str(key), throw_on_missing=False)
        if isinstance(child, DictConfig):
            yield from setting_paths(child, f"{path}.")


def _one_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines()]
    return "; ".join(line for line in lines if line and "HYDRA_FULL_ERROR" not in line)
