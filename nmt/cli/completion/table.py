"""Reads `table.json`: the commands, options, config groups, settings and values for completion.

`scripts/completion_table` writes this file from the commands and the declarations of the settings.
To import these for each completion would take too long.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("table.json")


@dataclass(frozen=True)
class Values:
    """The values of a setting or an option.

    Attributes:
        words: Words to choose from.
        kind: ``run``: run folders and checkpoints; ``path``: files; ``overrides``: settings;
            empty: only the words.
    """

    words: Sequence[str] = ()
    kind: str = ""


@dataclass(frozen=True)
class Command:
    """The options of a command (None: without a value), and the values of its arguments."""

    options: Mapping[str, Values | None]
    arguments: Values


@dataclass(frozen=True)
class SettingRow:
    """A setting, its values, and the choices of config groups under which it exists."""

    values: Values
    choices: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Table:
    """Everything that can be completed.

    Attributes:
        commands: The commands by name; ``data check`` is a command of the group ``data``.
        groups: The choices of each config group.
        settings: The settings by full key.
        implied: The choices of other groups that a choice implies, by ``GROUP=CHOICE``.
        sources: The keys below ``data.extra.NAME``.
    """

    commands: Mapping[str, Command]
    groups: Mapping[str, Sequence[str]]
    settings: Mapping[str, SettingRow]
    implied: Mapping[str, Mapping[str, str]]
    sources: Sequence[str]


@cache
def load_table() -> Table:
    """Read the table."""
    content: Any = json.loads(FILE.read_text(encoding="utf-8"))
    return Table(
        commands={
            name: Command(
                {flag: _values(kind) for flag, kind in options.items() if flag},
                _values(options[""]) or Values(),
            )
            for name, options in content["commands"].items()
        },
        groups=content["groups"],
        settings={
            key: SettingRow(_values(kind) or Values(), choices)
            for key, (kind, choices) in content["settings"].items()
        },
        implied=content["implied"],
        sources=content["sources"],
    )


def _values(kind: Any) -> Values | None:
    """Return the values that the table writes as a text, e.g. ``true|false`` or ``<run>``."""
    if kind is None:
        return None
    words = [word for word in kind.split("|") if word]
    kinds = [word[1:-1] for word in words if word.startswith("<")]
    return Values([word for word in words if not word.startswith("<")], "".join(kinds))
