"""HTML pages that are one file, work offline and cannot load anything.

A page is assembled from three files with the same stem in this folder: HTML (.html), style (.css)
and script (.js). The style that all pages share (page.css) is added. The content security policy
allows this style and this script by their hashes, and nothing else.
"""

import base64
import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup


def fill_page(stem: str, values: Mapping[str, str], styles: Sequence[str] = ()) -> str:
    """Return a page with its style, script and policy, and with ``{{name}}`` replaced by values.

    Args:
        stem: The stem of the page's three files.
        values: HTML by name. The caller escapes texts.
        styles: Stems of further style files.
    """
    known = {name: Markup(value) for name, value in values.items()}
    return render_page(stem, known, styles)


def render_page(stem: str, values: Mapping[str, Any], styles: Sequence[str] = ()) -> str:
    """Return a page made from a Jinja template, which escapes all texts.

    Args:
        stem: The stem of the page's three files.
        values: The template's variables; HTML has the type `markupsafe.Markup`.
        styles: Stems of further style files.
    """
    style = "".join(_part(name, "css") for name in ("page", *styles, stem))
    script = _part(stem, "js")
    fixed = {"policy": _policy(style, script), "style": Markup(style), "script": Markup(script)}
    return _environment().from_string(_part(stem, "html")).render(**fixed, **values)


def render_text(stem: str, values: Mapping[str, Any]) -> str:
    """Return a Markdown page made from the Jinja template of this stem.

    The template escapes texts outside code with the filter ``as_text``.
    """
    return _environment(escaped=False).from_string(_part(stem, "md")).render(**values)


@cache
def _environment(*, escaped: bool = True) -> Environment:
    """Return a Jinja environment: unknown names are errors, control characters are replaced."""
    environment = Environment(
        autoescape=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters["as_text"] = markdown_text
    return environment


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def printable(text: str) -> str:
    """Replace control characters and lone surrogates, which are invalid in HTML."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def markdown_text(text: str) -> str:
    """Return text that Markdown shows as it is: no HTML, and no end of a table's cell."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _part(stem: str, suffix: str) -> str:
    file = resources.files("nmt.reporting.pages").joinpath(f"{stem}.{suffix}")
    return file.read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the content security policy."""
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
