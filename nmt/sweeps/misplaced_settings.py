"""Explains overrides of settings that exist only under another choice of a group."""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.config.choices import CHOICES, GROUPS

Compose = Callable[[Sequence[str]], DictConfig]


def explain_misplaced(
    key: str, choices: Sequence[str], compose: Compose, *, several_jobs: bool
) -> str | None:
    """Return a message that names the choices with a setting; None if no choice has it.

    Args:
        key: A key that the composed configuration lacks, such as ``optimizer.beta1``.
        choices: The group choices on the command line, such as ``optimizer=sgd``.
        compose: Composes a configuration from group choices.
        several_jobs: Whether a sweep varies further choices, so that some jobs have the setting.
    """
    base, owners = _owners(key)
    if base is None:
        return None
    group = GROUPS[base]
    belongs = f"{key} belongs to {group}={_join_with_or(owners)}"
    if several_jobs:
        return f"{belongs}, which some jobs of this sweep do not use"
    chosen = OmegaConf.select(compose(choices), f"{group.replace('/', '.')}.name")
    if chosen is not None:
        return f"{belongs}, not to {group}={chosen}; choose that, or remove the setting"
    return _explain_absent_part(key, base, owners, choices, compose)


def _explain_absent_part(
    key: str, base: type, owners: Sequence[str], choices: Sequence[str], compose: Compose
) -> str:
    """Return a message that names the parents with the part, e.g. RNN decoders for attention."""
    group = GROUPS[base]
    above, _, part = group.rpartition("/")
    parents = next(CHOICES[other] for other, name in GROUPS.items() if name == above)
    parents_with_part = [name for name, parent in parents.items() if part in _fields(parent)]
    composed = compose(choices)
    current = OmegaConf.select(composed, f"{above.replace('/', '.')}.name")
    # Prefer model=rnn over model/decoder=rnn: it sets the encoder as well.
    whole = f"{above.rpartition('/')[0]}={parents_with_part[0]}"
    add = [whole if _composes(compose, [*choices, whole]) else f"{above}={parents_with_part[0]}"]
    subject = f"the {part} of {above}={_join_with_or(parents_with_part)}"
    if not _has(compose([*choices, *add]), key):
        add.append(f"{group}={owners[0]}")
        subject = f"{group}={_join_with_or(owners)}"
    return (
        f"{key} is a setting of {subject}; this configuration has {above}={current}: "
        f"add {' '.join(add)}, or remove the setting"
    )


def _owners(key: str) -> tuple[type | None, list[str]]:
    """Return the base class of the choices that have a setting, and the names of these choices."""
    for base, group in GROUPS.items():
        prefix = f"{group.replace('/', '.')}."
        if key.startswith(prefix):
            wanted = key.removeprefix(prefix)
            choices = CHOICES[base].items()
            if owners := [name for name, choice in choices if wanted in _settings(choice)]:
                return base, owners
    return None, []


def _settings(choice: type, prefix: str = "") -> Iterator[str]:
    """Yield the keys of a choice's settings, including its sections but not nested choices."""
    for name, hint in typing.get_type_hints(choice).items():
        yield f"{prefix}{name}"
        for section in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(section) and section not in CHOICES:
                yield from _settings(typing.cast("type", section), f"{prefix}{name}.")


def _fields(choice: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(choice)}


def _composes(compose: Compose, choices: Sequence[str]) -> bool:
    try:
        compose(choices)
    except (HydraException, OmegaConfBaseException, ValueError):
        return False
    return True


def _has(composed: DictConfig, key: str) -> bool:
    section, _, last = key.rpartition(".")
    return last in (OmegaConf.select(composed, section) or {})


def _join_with_or(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
