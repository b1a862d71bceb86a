"""Settings that exist, but in another choice than the one made: whose they are, and the remedy."""

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
    """Say which choice a setting belongs to; None if no choice has it.

    Args:
        key: As in ``optimizer.beta1``; not a setting of the configuration.
        choices: The choices of groups on the command line, as in ``optimizer=sgd``.
        compose: Gives the configuration that such choices make.
        several_jobs: Whether a sweep makes further choices, so that one job may have the setting.
    """
    base, owners = _owners(key)
    if base is None:
        return None
    group = GROUPS[base]
    belongs = f"{key} belongs to {group}={_either(owners)}"
    if several_jobs:
        return f"{belongs}, which not every job of this sweep has"
    chosen = OmegaConf.select(compose(choices), f"{group.replace('/', '.')}.name")
    if chosen is not None:
        return f"{belongs}, not to {group}={chosen}; choose that or drop it"
    return _of_an_absent_part(key, base, owners, choices, compose)


def _of_an_absent_part(
    key: str, base: type, owners: Sequence[str], choices: Sequence[str], compose: Compose
) -> str:
    """Say which part above has the part of the setting, as an RNN decoder has an attention."""
    group = GROUPS[base]
    above, _, part = group.rpartition("/")
    kinds = next(CHOICES[other] for other, name in GROUPS.items() if name == above)
    having = [name for name, kind in kinds.items() if part in _fields(kind)]
    composed = compose(choices)
    now = OmegaConf.select(composed, f"{above.replace('/', '.')}.name")
    whole = f"{above.rpartition('/')[0]}={having[0]}"  # model=rnn rather than model/decoder=rnn
    add = [whole if _composes(compose, [*choices, whole]) else f"{above}={having[0]}"]
    subject = f"the {part} of {above}={_either(having)}"
    if not _has(compose([*choices, *add]), key):
        add.append(f"{group}={owners[0]}")
        subject = f"{group}={_either(owners)}"
    return (
        f"{key} is a setting of {subject}; this configuration has {above}={now}: "
        f"add {' '.join(add)} or drop it"
    )


def _owners(key: str) -> tuple[type | None, list[str]]:
    """Return the base of the choices among which some have a setting, and their names."""
    for base, group in GROUPS.items():
        prefix = f"{group.replace('/', '.')}."
        if key.startswith(prefix):
            kinds = CHOICES[base]
            wanted = key.removeprefix(prefix)
            if owners := [name for name, kind in kinds.items() if wanted in _settings(kind)]:
                return base, owners
    return None, []


def _settings(kind: type, prefix: str = "") -> Iterator[str]:
    """Yield the settings of a choice by key, those of its sections too, other choices' not."""
    for name, hint in typing.get_type_hints(kind).items():
        yield f"{prefix}{name}"
        for section in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(section) and section not in CHOICES:
                yield from _settings(typing.cast("type", section), f"{prefix}{name}.")


def _fields(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


def _composes(compose: Compose, choices: Sequence[str]) -> bool:
    try:
        compose(choices)
    except (HydraException, OmegaConfBaseException, ValueError):
        return False
    return True


def _has(composed: DictConfig, key: str) -> bool:
    section, _, last = key.rpartition(".")
    return last in (OmegaConf.select(composed, section) or {})


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
