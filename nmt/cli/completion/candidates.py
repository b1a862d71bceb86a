"""The candidates of the word that is being typed."""

from collections.abc import Iterable, Sequence

from nmt.cli.completion.setting_words import setting_words
from nmt.cli.completion.table import Command, Table, Values
from nmt.run_search import path_words


def candidates(table: Table, words: Sequence[str]) -> list[str]:
    """Return the completions of the last word; incomplete ones end in ``=``, ``/`` or ``.``

    Args:
        table: Everything that can be completed.
        words: The command line after ``nmt`` up to the cursor.
    """
    *before, word = words
    name, rest = _command(table, before)
    if name is None:
        return _subcommands(table, " ".join(before), word)
    command = table.commands[name]
    if "--" not in rest:
        awaited = command.options.get(rest[-1]) if rest else None
        if awaited is not None:
            return _of_values(table, awaited, rest, word)
        flag, equals, value = word.partition("=")
        if word.startswith("-") and equals:
            given = command.options.get(flag) or Values()
            return [f"{flag}={found}" for found in _of_values(table, given, rest, value)]
        if word.startswith("-"):
            return _beginning([*command.options], word)
    return _of_values(table, command.arguments, rest, word)


def _command(table: Table, before: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the command, None if it is not complete yet, and the words after its name."""
    for length in (1, 2):
        name = " ".join(before[:length])
        if len(before) >= length and name in table.commands and name:
            return name, list(before[length:])
    return None, []


def _subcommands(table: Table, group: str, word: str) -> list[str]:
    begin = f"{group} " if group else ""
    names = {
        name.removeprefix(begin).split()[0]
        for name in table.commands
        if name and name.startswith(begin)
    }
    top: Command = table.commands[""]
    flags = [*top.options] if not group else ["--help", "-h"]
    return _beginning(flags if word.startswith("-") else sorted(names), word)


def _of_values(table: Table, values: Values, rest: Sequence[str], word: str) -> list[str]:
    found = _beginning(values.words, word)
    if "overrides" in values.kind:
        found += setting_words(table, rest, word)
    if "run" in values.kind or "path" in values.kind:
        found += path_words(word, runs="run" in values.kind)
    return found


def _beginning(words: Iterable[str], word: str) -> list[str]:
    return [candidate for candidate in words if candidate.startswith(word)]
