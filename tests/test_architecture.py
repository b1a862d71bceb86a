"""The house rules, read off the source: who may import what, and how long a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "nmt"
FILES = sorted(ROOT.rglob("*.py"))

OWNERS = {  # a library, and the parts of nmt that alone may import it
    "hydra": ("config", "sweeps"),
    "omegaconf": ("config", "sweeps"),
    "sentencepiece": ("text",),
    "sacrebleu": ("evaluation/metrics",),
    "datasets": ("data",),
    "pyarrow": ("data/sources",),
    "translate": ("data/sources",),
    "py3langid": ("data/language_identification",),
    "tensorboard": ("reporting",),
    "torch.utils.tensorboard": ("reporting",),
    "matplotlib": ("reporting",),
    "typer": ("cli",),
}
FORBIDDEN = {  # a part of nmt, and the parts that it must not know
    "config": ("text", "data", "model", "training", "decoding", "evaluation", "checkpoint"),
    "text": ("data", "model", "training", "decoding", "evaluation", "checkpoint", "reporting"),
    "data": (
        *("data_check", "model", "training", "decoding", "evaluation", "checkpoint"),
        "reporting",
    ),
    "data_check": ("model", "training", "decoding", "evaluation", "checkpoint"),
    "model": ("training", "decoding", "evaluation", "checkpoint", "reporting"),
    "reporting": ("text", "data", "model", "training", "decoding", "evaluation", "checkpoint"),
    "checkpoint": ("training", "decoding", "evaluation", "reporting"),
    "decoding": ("training", "evaluation", "reporting"),
    "evaluation": ("training",),
    "training": ("decoding", "evaluation", "checkpoint"),
    "durable_file": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "errors": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "process_exit": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "processes": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "runtime": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
}
TOP = (  # known to none of the parts above
    "__main__",
    "bench",
    "cli",
    "pipeline",
    "run",
    "sweeps",
)


def _imports(file: Path) -> Iterator[str]:
    """Yield every imported module by its full name, wherever in the file the import stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relative to itself"
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _part(file: Path) -> str:
    return str(file.relative_to(ROOT).with_suffix(""))


def _within(name: str, prefix: str, separator: str) -> bool:
    return name == prefix or name.startswith(prefix + separator)


@pytest.mark.parametrize("library", list(OWNERS))
def test_a_library_is_met_only_by_its_owner(library: str) -> None:
    users = {_part(file) for file in FILES if any(_within(m, library, ".") for m in _imports(file))}
    strangers = {u for u in users if not any(_within(u, owner, "/") for owner in OWNERS[library])}
    assert not strangers
    assert users or library == "tensorboard"  # torch wraps it


@pytest.mark.parametrize("part", list(FORBIDDEN))
def test_nothing_runs_back_up(part: str) -> None:
    mine = [file for file in FILES if _within(_part(file), part, "/")]
    assert mine
    wrong = {
        f"{_part(file)} imports {module}"
        for file in mine
        for module in _imports(file)
        for other in (*FORBIDDEN[part], *TOP)
        if _within(module, f"nmt.{other}", ".")
    }
    assert not wrong


def test_the_rules_name_every_part() -> None:
    parts = {_part(file).split("/")[0] for file in FILES}
    assert parts == {*FORBIDDEN, *TOP, "__init__"}


@pytest.mark.parametrize("file", FILES, ids=_part)
def test_a_file_is_short_and_has_nothing_left_to_do(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert "TODO" not in text
    assert "FIXME" not in text


def test_no_file_is_a_drawer_for_everything() -> None:
    names = {file.stem for file in FILES}
    assert not names & {"utils", "util", "helpers", "helper", "builders", "manager", "misc"}
