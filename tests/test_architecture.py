"""The rules of the code base, checked on the source: imports, private names, lengths, names."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "nmt"
FILES = sorted(ROOT.rglob("*.py"))

LONGEST_FILE, LONGEST_FUNCTION = 400, 50  # lines

OWNERS = {  # a library, and the only parts of nmt that may import it
    "hydra": ("config", "sweeps"),
    "omegaconf": ("config", "sweeps"),
    "sentencepiece": ("text",),
    "sacrebleu": (
        "evaluation/metrics",
        "evaluation/resampling",
        "evaluation/seed_significance",
        "evaluation/significance",
        "evaluation/test_set",
    ),
    "rouge_score": ("evaluation/rouge",),
    "datasets": ("data",),
    "pyarrow": ("data/sources", "data/feature_files"),
    "py3langid": ("data/language_identification",),
    "tensorboard": ("reporting",),
    "torch.utils.tensorboard": ("reporting",),
    "matplotlib": ("reporting",),
    "typer": ("cli",),
}
FORBIDDEN = {  # a part of nmt, and the parts that it must not import
    "config": ("text", "data", "model", "training", "decoding", "evaluation", "checkpoint"),
    "text": ("data", "model", "training", "decoding", "evaluation", "checkpoint", "reporting"),
    "data": (
        *("data_check", "model", "training", "decoding", "evaluation", "checkpoint"),
        "reporting",
    ),
    "data_check": ("model", "training", "decoding", "evaluation", "checkpoint"),
    "kernels": (
        "config",
        "text",
        "data",
        "model",
        "training",
        "decoding",
        "evaluation",
        "checkpoint",
        "reporting",
        "runtime",
        "processes",
        "durable_file",
        "data_check",
    ),
    "model": ("training", "decoding", "evaluation", "checkpoint", "reporting"),
    "reporting": ("text", "data", "model", "training", "decoding", "evaluation", "checkpoint"),
    "checkpoint": ("training", "decoding", "evaluation", "reporting"),
    "decoding": ("training", "evaluation", "reporting", "documents"),
    "evaluation": ("training", "documents"),
    "documents": ("training", "checkpoint", "reporting"),
    "training": ("decoding", "evaluation", "checkpoint", "documents"),
    "checkpoint_names": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "durable_file": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "checkpoint_archive": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "checkpoint_content": ("training", "decoding", "evaluation", "reporting"),
    "model_shapes": ("text", "data", "training", "decoding", "evaluation", "checkpoint"),
    "run_search": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "torch_import": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "user_path": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "file_names": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "errors": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "printable": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "loading_phase": (
        "config",
        "text",
        "data",
        "model",
        "training",
        "decoding",
        "evaluation",
        "reporting",
    ),
    "process_exit": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "written_file": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "processes": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
    "runtime": ("config", "text", "data", "model", "training", "decoding", "evaluation"),
}
SIBLINGS = {  # a folder, and the folders beside it that it may import
    "kernels/attention": (),
    "kernels/linear": (),
    "kernels/prediction": ("linear",),
    "kernels/recurrent": ("linear",),
    "model/attention": (),
    "model/self_attention": ("attention",),
    "model/recurrent": ("attention",),
    "model/transformer": ("attention", "self_attention"),
    "model/documents": ("attention", "transformer"),
    "model/losses": (),
    "training/checkpoints": (),
    "training/fine_tuning": (),
    "training/parallel": (),
    "training/passes": ("parallel",),
    "run/checkpoints": (),
    "run/comparison": (),
    "run/other_runs": ("checkpoints",),
    "run/reports": ("comparison",),
}
DIVIDED = sorted({folder.split("/")[0] for folder in SIBLINGS})
TOP = (  # imported by none of the parts above
    "__main__",
    "api",
    "api_arguments",
    "api_model",
    "api_records",
    "bench",
    "cli",
    "export",
    "pipeline",
    "run",
    "sweeps",
)


def _imports(file: Path) -> Iterator[str]:
    """Yield every imported module by its full name, at any place in the file."""
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
def test_a_library_is_imported_only_by_its_owner(library: str) -> None:
    users = {_part(file) for file in FILES if any(_within(m, library, ".") for m in _imports(file))}
    strangers = {u for u in users if not any(_within(u, owner, "/") for owner in OWNERS[library])}
    assert not strangers
    assert users or library == "tensorboard"  # torch re-exports it


@pytest.mark.parametrize("part", list(FORBIDDEN))
def test_imports_follow_the_order_of_the_rooms(part: str) -> None:
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


def _code(file: Path) -> str:
    """Return the source without comments and docstrings, each string as Python would write it."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            statements = [
                s
                for s in body
                if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
            ]
            node.body = statements or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _mentions(file: Path, pattern: str) -> set[str]:
    return {f"{_part(file)}: {found}" for found in re.findall(pattern, _code(file), re.I)}


def test_private_names_of_torch_occur_in_one_file() -> None:
    """`dispatch` also asks torch, by a public name, whether oneDNN is enabled."""
    owners = ROOT / "kernels" / "private_torch.py", ROOT / "kernels" / "dispatch.py"
    private = r"\btorch(?:\.\w+)*\._(?!_)\w+|\btorch\.ops\b"
    pattern = rf"{private}|\w*mkldnn\w*|(?<!dispatch\.)\b\w*onednn_\w*"
    assert not _mentions(owners[1], private)
    start = ROOT / "torch_import.py"  # names a module before torch, and so dispatch, is imported
    others = (file for file in FILES if file not in (*owners, start))
    assert not set().union(*(_mentions(file, pattern) for file in others))
    assert _mentions(owners[0], pattern), "the pattern finds nothing"
    assert _mentions(start, pattern) == {"torch_import: torch._meta_registrations"}


def test_formulas_name_no_device_and_no_dtype() -> None:
    pattern = (
        r"torch\.(?:float|bfloat|half|double)\w*|\.device\.type|\.is_(?:cpu|cuda)\b|\.dtype\b"
        r"|'(?:cpu|cuda)'|mkldnn|onednn"
    )
    files = sorted((ROOT / "model").rglob("*.py"))
    assert not set().union(*(_mentions(file, pattern) for file in files))
    assert _mentions(ROOT / "kernels" / "dispatch.py", pattern), "the pattern finds nothing"


def test_the_file_of_an_attention_kind_is_short() -> None:
    for file in (ROOT / "model" / "attention").glob("*.py"):
        assert len(file.read_text(encoding="utf-8").splitlines()) < 100, file.name


def test_the_rules_name_every_part() -> None:
    parts = {_part(file).split("/")[0] for file in FILES}
    assert parts == {*FORBIDDEN, *TOP, "__init__"}


@pytest.mark.parametrize("file", FILES, ids=_part)
def test_a_file_is_short_and_has_no_todo(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    assert "TODO" not in text
    assert "FIXME" not in text


def test_no_file_has_a_catch_all_name() -> None:
    names = {file.stem for file in FILES}
    assert not names & {"utils", "util", "helpers", "helper", "builders", "manager", "misc"}


def _functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("file", FILES, ids=_part)
def test_a_function_fits_on_one_screen(file: Path) -> None:
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in _functions(file)}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def _module(file: Path, root: Path) -> str:
    parts = file.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize(
    "root", [ROOT, ROOT.parent / "scripts" / "phrasebook"], ids=lambda p: p.name
)
def test_no_import_is_circular(root: Path) -> None:
    """Imports inside functions count too, because they only hide a circle."""
    modules = {_module(file, root): file for file in root.rglob("*.py")}
    graph = TopologicalSorter(
        {
            module: {name for name in _imports(file) if name in modules} - {module}
            for module, file in modules.items()
        }
    )
    # static_order raises CycleError with the modules of a circle.
    assert set(graph.static_order()) == modules.keys()


@pytest.mark.parametrize("room", DIVIDED)
def test_folders_of_a_room_import_only_the_siblings_of_the_table(room: str) -> None:
    folders = {f.parent.name for f in FILES if f.parent.parent == ROOT / room}
    assert {f"{room}/{folder}" for folder in folders} == {s for s in SIBLINGS if s.startswith(room)}
    wrong = {
        f"{_part(file)} imports {module}"
        for file in FILES
        if file.parent.parent == ROOT / room
        for module in _imports(file)
        for other in folders - {file.parent.name, *SIBLINGS[f"{room}/{file.parent.name}"]}
        if _within(module, f"nmt.{room}.{other}", ".")
    }
    assert not wrong


@pytest.mark.parametrize("room", DIVIDED)
def test_no_folder_of_a_room_is_in_a_circle(room: str) -> None:
    """A folder is one node of the graph, and so is a file beside the folders."""
    start = f"nmt.{room}."
    graph: dict[str, set[str]] = {}
    for file in (ROOT / room).rglob("*.py"):
        node = _module(file, ROOT).removeprefix(start).split(".")[0]
        names = {m.removeprefix(start).split(".")[0] for m in _imports(file) if m.startswith(start)}
        graph.setdefault(node, set()).update(names - {node})
    assert len(list(TopologicalSorter(graph).static_order())) > 1


def test_two_files_of_different_rooms_have_different_names() -> None:
    """Except in cli/, whose files are named after their commands."""
    files = [file for file in FILES if not file.stem.startswith("__") and file.parent.name != "cli"]
    names = [file.stem for file in files]
    assert not {name for name in names if names.count(name) > 1}
