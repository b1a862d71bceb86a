"""What can be completed, in `table.json`: commands, options, config groups, settings, values.

`scripts/completion_table` writes the file from the commands and the declarations of the settings,
because reading those takes longer than a person waits for a completion.
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
    """What can follow a setting or an option.

    Attributes:
        words: Words to choose from.
        kind: ``run``: run folders and checkpoints; ``path``: files; ``overrides``: settings;
            empty: only the words.
    """

    words: Sequence[str] = ()
    kind: str = ""


@dataclass(frozen=True)
class Command:
    """The options of a command and what its arguments are; None: the option takes no value."""

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
        commands: By name; ``data check`` is a command of the group ``data``.
        groups: The choices of each config group.
        settings: By full key.
        implied: The choices that a choice brings along, by ``GROUP=CHOICE``.
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
    """Return the values that a text of the table stands for, as ``true|false`` or ``<run>``."""
    if kind is None:
        return None
    words = [word for word in kind.split("|") if word]
    kinds = [word[1:-1] for word in words if word.startswith("<")]
    return Values([word for word in words if not word.startswith("<")], "".join(kinds))
