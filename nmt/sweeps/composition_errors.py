"""From Hydra's and OmegaConf's exceptions to one line in the user's words."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from nmt.config.folders import config_directory
from nmt.errors import UserError
from nmt.sweeps.misplaced_settings import explain_misplaced


def readable(override: str) -> str:
    """Write an override as Hydra wants it; a budget that is left to the memory is a 0.

    Values that its grammar cannot read, as a path with an umlaut, = or {lang}, get quotes; and
    ``data.extra.NAME`` may name a source of the user's own, for which it asks for ``++``.
    """
    key, _, value = override.partition("=")
    if override == "training.batch_tokens=auto":
        return f"{key}=0"
    if not re.search(r"""['"]""", value) and ("{lang}" in value or not _can_be_read(override)):
        plain = value.replace("{lang}", "")
        if value and not re.search(r"[,\[\]{}\\]", plain):
            override = f"{key}='{value}'"
    return f"++{override}" if key.startswith("data.extra.") else override


def _can_be_read(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True


def explain(error: Exception, arguments: Sequence[str]) -> UserError:
    """Say which override is wrong, and what is nearest to it."""
    if of_resolver := _user_error_behind(error):
        return of_resolver
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if isinstance(error, ValueError):  # Hydra's word for a group that is given no name
        groups = _groups()
        for key, _, value in (argument.partition("=") for argument in arguments):
            if key in groups and not (config_directory() / key / f"{value}.yaml").exists():
                return _unknown_choice(f"{key}/{value}")
    message = str(error)
    cause = error.__cause__ or error.__context__
    if found := re.search(r"Could not override '([^']+)'", message):
        return _unknown_key(found[1], arguments)
    if found := re.search(r"Could not find '([^']+)'", message):
        return _unknown_choice(found[1])
    if found := re.search(r"[Ee]rror merging override (\S+)", message):
        if reason := _whole_section(found[1]):
            return UserError(reason)
        return UserError(f"{found[1]}: {_one_line(str(cause).split('full_key')[0])}")
    return UserError(_one_line(message))


def _user_error_behind(error: BaseException | None) -> UserError | None:
    """Return what a resolver of ours said, which OmegaConf wraps into errors of its own."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _whole_section(override: str) -> str | None:
    """Say how a section is set, if it is one that the override gives a single value."""
    key, _, value = override.lstrip("+").partition("=")
    if key == "data.extra":
        return f"{override} names no source; as in data.extra.NAME.path={value}"
    node = OmegaConf.select(composed_from([]), key)
    if key in ("data.train", "data.valid", "data.test"):
        if value == "null":
            return f"{override}: there is no training without it"
        return f"{override}: {key} is a section; name a file as {key}.path={value}"
    if not isinstance(node, DictConfig):
        return None
    group = key.replace(".", "/")
    if group in _groups():
        return f"{override} sets a group of settings; write {group}={value}"
    return f"{override}: {key} is a section; set one of {', '.join(map(str, node))} in it"


def _unreadable(error: OverrideParseException) -> UserError:
    if "=" not in error.override:
        return UserError(f"{error.override} sets nothing; write {error.override}=VALUE")
    key, _, value = error.override.partition("=")
    if "/" in key and "." in key:
        dotted, value = key.replace("/", "."), value.strip("'")  # which `readable` may have put
        return UserError(f"{key} is neither a group nor a setting; did you mean {dotted}={value}?")
    return UserError(
        f"cannot read {error.override}; put a value that holds special characters between quotes, "
        "as in \"run.dir='a=b'\""
    )


def _unknown_key(key: str, arguments: Sequence[str]) -> UserError:
    if key in _groups():
        parent, _, leaf = key.rpartition("/")
        owners = [
            f"{parent}={file.stem}"
            for file in sorted((config_directory() / parent).glob("*.yaml"))
            if f"- {leaf}:" in file.read_text(encoding="utf-8")
        ]
        return UserError(f"{key} belongs to {' or '.join(owners)}; choose that too")
    choices, several = _choices(arguments)
    if misplaced := explain_misplaced(key, choices, composed_from, several_jobs=several):
        return UserError(misplaced)
    keys = list(setting_paths(composed_from(choices)))
    if nearest := difflib.get_close_matches(key, keys, n=1, cutoff=0.6):
        return UserError(f"there is no setting {key}; did you mean {nearest[0]}?")
    last = key.rsplit(".", 1)[-1]
    ends = {known.rsplit(".", 1)[-1]: known for known in keys}
    if nearest := difflib.get_close_matches(last, ends, n=1, cutoff=0.6):
        return UserError(f"there is no setting {key}; did you mean {ends[nearest[0]]}?")
    return UserError(f"there is no setting {key}; nmt train --cfg job shows them all")


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
    """Return the choices of groups among the arguments, and whether a sweep makes more of them."""
    groups = _groups()
    chosen = [argument for argument in arguments if argument.split("=")[0] in groups]
    one = [c for c in chosen if "," not in c or c.partition("=")[2].startswith("[")]
    return one, len(one) < len(chosen) or any(c.startswith("sweep=") for c in one)


def composed_from(choices: Sequence[str]) -> DictConfig:
    """Return the configuration that these choices of groups make."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", overrides=list(choices))


def setting_paths(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield the full key of every section and setting below a node."""
    for key in node:
        path = f"{prefix}{key!s}"
        yield path
        child: Any = OmegaConf.select(node, str(key), throw_on_missing=False)
        if isinstance(child, DictConfig):
            yield from setting_paths(child, f"{path}.")


def _one_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines()]
    return "; ".join(line for line in lines if line and "HYDRA_FULL_ERROR" not in line)
