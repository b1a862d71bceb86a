"""Hooks of MkDocs that turn files outside docs/ into pages of the site.

README.md becomes the front page. CHANGELOG.md and the corpus's README become separate pages. Links
to paths of the repository are changed to paths of the site. Every package of nmt/ has a page in the
API reference, which mkdocstrings fills from the docstrings.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# A file of the repository -> its page on the site.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "data/phrasebook/README.md": "phrasebook.md",
}
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")


def on_config(config: Any) -> Any:
    """Append the API reference to the navigation."""
    pages = [{name: path} for name, path in _api_pages().items()]
    config.nav.append({"API": pages})
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages made from files outside docs/."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=site_links(text, source, page)))
    for room, page in _api_pages().items():
        files.append(File.generated(config, page, content=_api_page(room)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links that lead out of docs/, such as ../README.md."""
    if page.file.generated_by:
        return markdown
    return site_links(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)


def site_links(text: str, source: str, page: str) -> str:
    """Return Markdown with its relative links changed from repository paths to site paths."""

    def rewrite(link: re.Match[str]) -> str:
        path = os.path.normpath(PurePosixPath(source).parent / link[1])
        target = PAGES.get(path, path.removeprefix("docs/"))
        return os.path.relpath(target, PurePosixPath(page).parent)

    return LINK.sub(rewrite, text)


def _api_pages() -> dict[str, str]:
    """Return the page of every package under nmt/, the package itself first."""
    packages = sorted(path.parent for path in (ROOT / "nmt").rglob("__init__.py"))
    names = [".".join(path.relative_to(ROOT).parts) for path in packages]
    return {name: f"api/{name}.md" for name in names}


def _api_page(room: str) -> str:
    """Return the page of a package: its docstring, then each of its modules."""
    folder = ROOT.joinpath(*room.split("."))
    modules = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("__"))
    lines = [
        f"# {room}",
        "",
        f"::: {room}",
        "    options: {show_root_heading: false, show_root_toc_entry: false, members: []}",
    ]
    for module in modules:
        lines += ["", f"::: {room}.{module}"]
    return "\n".join(lines) + "\n"
