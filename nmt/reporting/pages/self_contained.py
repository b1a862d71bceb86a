"""HTML pages of one file that work offline and can load nothing.

A page is made of three files of one stem in this folder, its frame (.html), style (.css) and script
(.js), and of the style that all pages share (page.css). The content security policy lets the
browser run that style and that script, known by their hashes, and nothing else.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from importlib import resources


def fill_page(stem: str, values: Mapping[str, str]) -> str:
    """Return a page with its style, its script, its policy, and values in place of ``{{name}}``.

    Args:
        stem: Of the page's three files.
        values: HTML by name; texts must have been escaped.
    """
    style, script = _part("page", "css") + _part(stem, "css"), _part(stem, "js")
    known = {"policy": _policy(style, script), "style": style, "script": script, **values}
    # One pass, so that nothing is looked for inside what was filled in.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: known[found[1]], _part(stem, "html"))


def printable(text: str) -> str:
    """Replace control characters and lone surrogates, which no HTML file can hold."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


def _part(stem: str, suffix: str) -> str:
    file = resources.files("nmt.reporting.pages").joinpath(f"{stem}.{suffix}")
    return file.read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
