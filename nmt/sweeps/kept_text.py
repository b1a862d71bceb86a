"""Keeps the values of text settings as the user wrote them.

Hydra's grammar and YAML read ``no``, ``true``, ``1e3`` or ``2026_11_27`` as values of other types.
OmegaConf then converts them to a different text. Such values are quoted before they are parsed: on
the command line, in sweeps and lists (`keep_override`), and in YAML files (`keep_yaml`).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from nmt.config.text_settings import ends_text_setting, is_text
from nmt.errors import UserError

_OTHER_TYPE = re.compile(r"[-+]?[0-9.]|[-+]?(inf|nan)$|(true|false|null)$", re.IGNORECASE)
_SWEEP = re.compile(r"(choice|shuffle|sort|tag)\s*\((.*)\)", re.DOTALL)
_NULLS = ("", "~", "null")
_MOST_NODES = 100_000
_OPENING, _CLOSING = "([{", ")]}"


def keep_override(override: str) -> str:
    """Return an override in which texts are quoted if Hydra would read them as another type."""
    key, equals, value = override.partition("=")
    return f"{key}{equals}{keep_value(key.lstrip('+~'), value)}" if equals else override


def keep_value(key: str, value: str) -> str:
    """Return a value in Hydra's grammar, in which values of text settings are quoted if necessary.

    Args:
        key: Full key of the setting or section, or the name of a group.
        value: One value, several with commas, a list, a mapping, or a sweep as ``choice(a,b)``.
    """
    return ",".join(_keep_part(key, part) for part in _split(value, ","))


def _keep_part(key: str, part: str) -> str:
    text = part.strip()
    if not text:
        return part
    start = part.index(text)
    return f"{part[:start]}{_keep_stripped(key, text)}{part[start + len(text) :]}"


def _keep_stripped(key: str, text: str) -> str:
    if text[0] == "[" and text[-1] == "]":
        return f"[{keep_value(key, text[1:-1])}]"
    if text[0] == "{" and text[-1] == "}":
        return "{" + ",".join(_keep_entry(key, entry) for entry in _split(text[1:-1], ",")) + "}"
    if sweep := _SWEEP.fullmatch(text):
        inner = ",".join(_keep_choice(key, part.strip()) for part in _split(sweep[2], ","))
        return f"{sweep[1]}({inner})"
    return f"'{text}'" if is_text(key) and _is_other_type(text) else text


def _keep_choice(key: str, part: str) -> str:
    """Return an argument of a sweep's function, which removes one pair of quotes from it."""
    if not is_text(key):
        return part
    kept = _keep_stripped(key, part) if part else part
    quoted = re.fullmatch(r"'(.*)'", kept)
    return f'"{kept}"' if quoted and _is_other_type(quoted[1]) else kept


def _keep_entry(section: str, entry: str) -> str:
    name, colon, value = entry.partition(":")
    return f"{name}{colon}{_keep_part(f'{section}.{name.strip()}', value)}"


def _is_other_type(text: str) -> bool:
    if text.startswith("~"):  # not in the grammar
        return not set(text) & {"'", '"'}
    if text == "null" or not _OTHER_TYPE.match(text):
        return False
    try:
        return not isinstance(OverridesParser.create().parse_override(f"k={text}").value(), str)
    except (HydraException, ValueError):  # not in the grammar, or more digits than int() accepts
        return bool(re.fullmatch(r"[-+]?\d+", text))


def _split(text: str, separator: str) -> list[str]:
    """Split at the separators outside of brackets and quotes."""
    parts, start, depth, quote = [], 0, 0, ""
    for at, character in enumerate(text):
        if quote:
            closes = character == quote and text[at - 1] != "\\"
            quote = "" if closes else quote
        elif character in "'\"":
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == separator and depth == 0 and text[at - 1 : at] != "\\":
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


# --------------------------------------------------------------------------- YAML


class _Quoted(NamedTuple):
    """A scalar of a YAML file that gets quotes: its span in the text, and its quoted text."""

    start: int
    end: int
    text: str


def keep_yaml(text: str, file: str) -> str:
    """Return the text of a YAML file with keys and values of text settings in quotes.

    Args:
        text: The content of the file.
        file: The name of the file, for messages.

    Raises:
        UserError: The text is not YAML or not a mapping, or has more than 100,000 values.
    """
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    except (RecursionError, ValueError) as error:
        raise UserError(f"{file} is not valid YAML: it is nested too deeply") from error
    if root is None:
        return text
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"{file} is not a mapping of settings; write KEY: VALUE")
    found = {scalar.start: scalar for scalar in _quoted(root, file)}
    for scalar in sorted(found.values(), reverse=True):
        text = f"{text[: scalar.start]}{scalar.text}{text[scalar.end :]}"
    return text


def _quoted(root: yaml.Node, file: str) -> Iterator[_Quoted]:
    open_nodes: list[tuple[str, yaml.Node]] = [("", root)]
    count = 0
    while open_nodes:
        path, node = open_nodes.pop()
        count += 1
        if count > _MOST_NODES:
            raise UserError(f"{file} has more than {_MOST_NODES:,} values; remove its aliases")
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if _is_plain(key) and key.value != "<<":
                    yield _in_quotes(key, key.value)
                merged = key.value == "<<"
                open_nodes.append((path if merged else f"{path}.{key.value}".lstrip("."), value))
        elif isinstance(node, yaml.SequenceNode):
            open_nodes += [(path, item) for item in node.value]
        else:
            yield from _kept_scalar(path, node)


def _kept_scalar(path: str, node: yaml.Node) -> Iterator[_Quoted]:
    _, swept, key = path.rpartition("sweeper.params.")
    if swept or path.startswith("params."):  # these values are in Hydra's grammar
        key = key if swept else path.removeprefix("params.")
        if (kept := keep_value(key, node.value)) != node.value:
            yield _in_quotes(node, kept)
    elif not _is_plain(node) or node.value in _NULLS:
        return
    elif path == "defaults" or path.startswith("defaults.") or ends_text_setting(path):
        yield _in_quotes(node, node.value)


def _is_plain(node: yaml.Node) -> bool:
    """Return whether a scalar has no quotes, so that YAML infers its type."""
    return isinstance(node, yaml.ScalarNode) and node.style is None and "${" not in node.value


def _in_quotes(node: yaml.Node, value: str) -> _Quoted:
    escaped = value.replace("'", "''")
    style = getattr(node, "style", None)
    end = "\n" if style in ("|", ">") else ""  # the span of a block includes its last line end
    return _Quoted(node.start_mark.index, node.end_mark.index, f"'{escaped}'{end}")
