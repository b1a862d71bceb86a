"""HTML pages that are one file, work offline and cannot load anything.

A page is assembled from three files of one stem in this folder, its HTML (.html), style (.css) and
script (.js), and from the style that all pages share (page.css). Its content security policy allows
this style and this script by their hashes, and nothing else.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from importlib import resources


def fill_page(stem: str, values: Mapping[str, str]) -> str:
    """Return a page with its style, script and policy, and with ``{{name}}`` replaced by values.

    Args:
        stem: The stem of the page's three files.
        values: HTML by name. The caller escapes texts.
    """
    style, script = _part("page", "css") + _part(stem, "css"), _part(stem, "js")
    known = {"policy": _policy(style, script), "style": style, "script": script, **values}
    # One pass, so that placeholders inside the values are not replaced.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: known[found[1]], _part(stem, "html"))


def printable(text: str) -> str:
    """Replace control characters and lone surrogates, which are invalid in HTML."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)


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
