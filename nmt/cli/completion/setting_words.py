"""Candidates among GROUP=CHOICE and KEY=VALUE."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nmt.cli.completion.table import Table, Values
from nmt.run_search import path_words

_EXTRA = re.compile(r"(data\.extra\.[^.=]+\.)\w*")


def setting_words(table: Table, before: Sequence[str], word: str) -> list[str]:
    """Return the completions of an override; keys are completed one section at a time.

    Args:
        table: Everything that can be completed.
        before: The words before it, whose choices decide which settings exist.
        word: The typed beginning of the override.
    """
    plus = word[: len(word) - len(word.lstrip("+~"))]
    key, equals, value = word.removeprefix(plus).partition("=")
    groups = {group: _choices(table, before, group) for group in table.groups}
    if equals:
        return [f"{plus}{key}={found}" for found in _values(table, groups, key, value)]
    chosen = _chosen(table, before)
    keys = [setting for setting in table.settings if _exists(table, chosen, setting)]
    if extra := _EXTRA.fullmatch(key):
        keys = [f"{extra[1]}{name}" for name in table.sources]
    wholes = [f"{name}=" for name in (*groups, *keys)]
    found = _next_parts(wholes, key)
    if not found and len(key) > 1:  # a setting without its section
        found = [whole for whole in wholes if re.split(r"[./]", whole)[-1].startswith(key)]
    return [f"{plus}{one}" for one in found]


def _next_parts(wholes: Iterable[str], key: str) -> list[str]:
    """Return the beginnings of the keys, up to the end of the section that is being typed."""
    parts: dict[str, None] = {}
    for whole in wholes:
        if whole.startswith(key):
            end = re.search(r"[./]|$", whole[len(key) :])
            assert end is not None
            parts[whole[: len(key) + end.end()]] = None
    if len(parts) == 1 and (only := next(iter(parts))) != key and only[-1] in "./":
        return _next_parts(wholes, only)
    return list(parts)


def _values(table: Table, groups: Mapping[str, Sequence[str]], key: str, value: str) -> list[str]:
    """Return the completions of a value; in a list, those of its last value."""
    if key in groups:
        values = Values(groups[key])
    elif key in table.settings:
        values = table.settings[key].values
    else:
        name = key.rpartition(".")[2] if key.startswith("data.extra.") else ""
        values = Values(kind="path") if name in ("path", "source", "target") else Values()
    if values.kind:
        return [
            *(one for one in values.words if value and one.startswith(value)),
            *path_words(value, runs=values.kind == "run"),
        ]
    listed, comma, last = value.rpartition(",")
    if not comma and value.startswith("["):
        listed, comma, last = "", "[", value[1:]
    done = set(re.split(r"[\[,]", listed))
    return [
        f"{listed}{comma}{one}" for one in values.words if one.startswith(last) and one not in done
    ]


def _chosen(table: Table, before: Sequence[str]) -> dict[str, list[str]]:
    """Return the choices of groups among the words, and the choices that these imply."""
    parts = (word.lstrip("+").partition("=") for word in before)
    given = {group: choice.split(",") for group, _, choice in parts if group in table.groups}
    chosen: dict[str, list[str]] = {}
    waiting = [*given.items()]
    for group, choices in waiting:  # the loop extends this list
        if group in chosen:
            continue
        chosen[group] = given.get(group, choices)
        brought: dict[str, list[str]] = {}
        for choice in chosen[group]:
            for other, one in table.implied.get(f"{group}={choice}", {}).items():
                brought.setdefault(other, []).append(one)
        waiting += brought.items()
    return chosen


def _exists(table: Table, chosen: Mapping[str, Sequence[str]], key: str) -> bool:
    return all(
        group not in chosen or set(chosen[group]) & set(allowed)
        for group, allowed in table.settings[key].choices.items()
    )


def _choices(table: Table, before: Sequence[str], group: str) -> list[str]:
    """Return the choices of a group, with those in the folder of --config-dir."""
    folders = [
        after if word in ("--config-dir", "-cd") else word.removeprefix("--config-dir=")
        for word, after in zip(before, [*before[1:], ""], strict=False)
        if word in ("--config-dir", "-cd") or word.startswith("--config-dir=")
    ]
    own = [file.stem for folder in folders for file in sorted(Path(folder, group).glob("*.yaml"))]
    return [*table.groups[group], *(name for name in own if not name.startswith("_"))]
