"""README and docs/: links exist, commands parse, and the site builds and works offline."""

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import typer.main
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from nmt.cli.main import app
from nmt.cli.options.setting_flags import refuse_setting_flags
from nmt.config.folders import config_directory
from nmt.config.store import register_schemas
from nmt.errors import UserError
from nmt.sweeps.overrides import compose_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)+")
LINK = re.compile(r"\]\(([^)\s]+)\)")
EXAMPLES = {  # what docs/extending.md adds; tests/test_extending.py performs it
    "model.decoder.attention.temperature",
    "nmt/model/attention/distance.py",
    "configs/model/decoder/attention/distance.yaml",
    "configs/schedule/linear.yaml",
    "nmt/data/sources/bar_separated.py",
    "nmt/model/self_attention/dilated_attention.py",
}
HYDRA_COMMANDS = {"train", "prepare"}
REFUSED = ["train", "--max-updates", "10"]
"""An example of what is refused; the message names the setting."""


def code_blocks(text: str) -> list[str]:
    """Return the shell code of a page, with continued lines joined."""
    fenced = [match[0] for match in FENCE.finditer(text)]
    indented = [match[0] for match in INDENTED.finditer(FENCE.sub("", text))]
    return [block.replace("\\\n", " ") for block in fenced + indented]


def prose(text: str) -> str:
    return INDENTED.sub("", FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in headings}


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of nmt in code blocks and in code within sentences."""
    inline = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(text))]
    for block in [*code_blocks(text), *inline]:
        for line in block.splitlines():
            try:
                lexer = shlex.shlex(line, posix=True, punctuation_chars=";|<>()")
                lexer.whitespace_split = True
                words = list(lexer)
            except ValueError:  # not a shell command: an example of output, or half a quotation
                continue
            starts = [i for i, word in enumerate(words) if word == "nmt" and _is_call(words, i)]
            for start in starts:
                rest = words[start + 1 :]
                ends = [i for i, word in enumerate(rest) if set(word) <= set(";|<>()&")]
                yield rest[: ends[0]] if ends else rest


def _is_call(words: list[str], index: int) -> bool:
    before = words[index - 1] if index else ""
    after = words[index + 1] if index + 1 < len(words) else ""
    names = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return after in names or before in ("", "time", "until") or before == "-m"


def page_commands() -> list[Any]:
    found = {}
    for page in PAGES:
        for command in commands(page.read_text(encoding="utf-8")):
            if command and re.fullmatch(r"[a-z]+", command[0]):  # not `nmt COMMAND`
                found.setdefault(" ".join(command), pytest.param(command, id=" ".join(command)))
    return list(found.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_images_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    for link in LINK.findall(prose(text)):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link} does not exist"
        if anchor:
            there = anchors(target.read_text(encoding="utf-8"))
            assert anchor in there, f"{page.name}: {link} is none of {sorted(there)}"


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert re.search(rf": {page.name}$", text, re.MULTILINE), (
            f"{page.name} is not in mkdocs.yml"
        )


def test_commands_are_found() -> None:
    block = "    until nmt train x=1; do nmt average \\\n      --last 5 > f; done\n"
    found = [["train", "x=1"], ["average", "--last", "5"], ["train", "seed=2"]]
    assert list(commands(f"a `nmt train seed=2` b\n\n{block}")) == found
    assert len(page_commands()) > 60


@pytest.mark.parametrize("command", page_commands())
def test_commands_exist_with_their_options_and_settings(command: list[str]) -> None:
    node, words = typer.main.get_command(app), list(command)
    if command == ["bench"] or command[0] == "help":
        return  # sentences may name the group; `nmt help` is another spelling of --help
    if command == REFUSED:
        with pytest.raises(UserError, match=r"training\.max_updates=10"):
            refuse_setting_flags(command[0], command[1:])
        return
    while hasattr(node, "commands"):
        assert words, "a group of commands is given without a command"
        assert words[0] in node.commands, f"nmt has no command {words[0]!r}"
        node = node.commands[words.pop(0)]
    hydra = command[0] in HYDRA_COMMANDS
    options = {name for option in node.params for name in (*option.opts, *option.secondary_opts)}
    options |= {"-m", "--cfg", "--info", "-p", "--help"} if hydra else {"--help"}
    for word in words:
        if flag := re.match(r"\[?(--?[a-z][\w-]*)", word):
            assert flag[1] in options, f"nmt {command[0]} has no option {flag[1]}"
    overrides = list(_overrides(words))
    if hydra or overrides:
        compose_config([*_files(overrides), *overrides], {})


def _overrides(words: list[str]) -> Iterator[str]:
    """Yield the settings among the words of a command; of a list to sweep, its first value."""
    if "--data" in words:  # of nmt data check: the choice, in the next word
        yield f"data={words[words.index('--data') + 1]}"
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not re.fullmatch(r"[a-z][\w./]*", key) or value in ("", "..."):
            continue
        if key.startswith("hydra") or "$" in value:
            continue
        if "interval(" in value:
            value = "0.1"
        elif "-m" in words and not value.startswith("["):
            value = value.partition(",")[0]
        yield f"{key}={value}"


def _files(overrides: list[str]) -> list[str]:
    """Return the files that an abbreviated command with `data=files` leaves out."""
    if "data=files" not in overrides:
        return []
    given = {override.partition("=")[0] for override in overrides}
    files = {"source_language": "en", "target_language": "de"}
    files |= {f"{split}.path": f"{split}.tsv" for split in ("train", "valid", "test")}
    return [
        f"data.{key}={value}"
        for key, value in files.items()
        if not any(other.startswith(f"data.{key.removesuffix('.path')}") for other in given)
    ]


CHOICES = [
    ["data=files", "data.source_language=en", "data.target_language=de"],
    ["data=huggingface", "data.path=x", "data.source_language=en", "data.target_language=de"],
    *(["model=rnn", f"model/decoder/attention={name}"] for name in ("bahdanau", "luong_general")),
    ["model=rnn", "model/decoder/attention=multi_head", "model.decoder.attention.window=local_p"],
    ["optimizer=adamw"],
    *([f"schedule={name}"] for name in ("cosine", "inverse_sqrt", "plateau", "halving")),
]


@cache
def known_settings() -> frozenset[str]:
    """Return the keys of all settings, of every choice that has some of its own."""
    register_schemas()
    found: set[str] = set()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        for choice in CHOICES:
            composed = compose("train", overrides=choice)
            found |= set(_keys(OmegaConf.to_container(composed), ""))
    return frozenset(found)


def _keys(node: Any, prefix: str) -> Iterator[str]:
    yield prefix.rstrip(".")
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _keys(value, f"{prefix}{key}.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_named_in_sentences_exist(page: Path) -> None:
    sections = "data|tokenizer|model|optimizer|schedule|training|decoding|logging|run"
    text = " ".join(re.findall(r"`([^`]+)`", prose(page.read_text(encoding="utf-8"))))
    for key in re.findall(
        rf"(?<![\w./+-])((?:{sections})\.[a-z_\d]+(?:\.[a-z_\d]+)*)(?![\w.(/*])", text
    ):
        if key.startswith("data.extra.") or key.endswith((".py", ".md", ".pt")):
            continue
        if _is_made_by(page, key):
            continue
        assert key in known_settings() or _is_optional(key), f"{page.name}: no setting {key}"


def _is_optional(key: str) -> bool:
    """Whether a setting belongs to a part that is null until it is given, as data.test.path."""
    return key.startswith(("data.train.", "data.valid.", "data.test."))


def _is_made_by(page: Path, name: str) -> bool:
    """Whether the page is docs/extending.md and the name belongs to an example in it."""
    return page.name == "extending.md" and name in EXAMPLES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_source_files_named_in_sentences_exist(page: Path) -> None:
    for code in re.findall(r"`([^`\s]+)`", prose(page.read_text(encoding="utf-8"))):
        if _is_made_by(page, code):
            continue
        if re.fullmatch(r"(nmt|tests|scripts|configs)/[\w/.]+", code):
            assert (ROOT / code).exists(), f"{page.name}: {code} does not exist"
        elif re.fullmatch(r"[a-z_]+/[a-z_/]+\.py", code):  # the README's reading order
            assert (ROOT / "nmt" / code).exists(), f"{page.name}: nmt/{code} does not exist"


def test_every_script_is_listed() -> None:
    text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    scripts = [path.name for path in (ROOT / "scripts").iterdir() if path.is_file()]
    assert [name for name in scripts if "." not in name and f"`scripts/{name}`" not in text] == []


class Resources(HTMLParser):
    """Collects what a browser loads for a page; links that a reader may follow are not loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        loaded = [values.get("src", ""), values.get("srcset", ""), values.get("poster", "")]
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            loaded.append(values.get("href", ""))
        if tag == "object":
            loaded.append(values.get("data", ""))
        self.found += [url for url in loaded if url]


# The fallbacks of Material's script, for diagrams (this site has none) and for browsers older than
# 2020; Chromium loads neither.
UNUSED = {
    "https://unpkg.com/mermaid@11/dist/mermaid.min.js",
    "https://unpkg.com/resize-observer-polyfill",
}


@pytest.mark.slow
@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("material", "mkdocstrings")),
    reason="needs pip install 'nmt[docs]'",
)
def test_the_site_builds_strictly_and_makes_no_requests(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    built = subprocess.run(
        [*command, "--site-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stdout + built.stderr
    for name in ("index", "changelog", "phrasebook", "training", "api/nmt.decoding"):
        assert (tmp_path / f"{name}.html").is_file()
    for path in tmp_path.rglob("*"):
        external: set[str] = set()
        if path.suffix == ".html":
            page = path.read_text(encoding="utf-8")
            resources = Resources()
            resources.feed(page)
            external = {url for url in resources.found if re.match(r"(https?:)?//", url)}
            assert 'class="mermaid"' not in page
        elif path.suffix == ".css":
            external = set(re.findall(r"url\([\"']?((?:https?:)?//[^)]+)", path.read_text()))
        elif path.suffix == ".js":
            external = set(re.findall(r"https?://unpkg[\w./@-]+", path.read_text())) - UNUSED
        assert not external, f"{path.relative_to(tmp_path)} loads {sorted(external)}"
