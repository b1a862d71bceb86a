"""The start of commands on a terminal: the first line, Ctrl-C, and how work begins."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")

TEXTS = ("--source", __file__, "--target", __file__)
FIRST = {
    ("train",): "reading the configuration ...",
    ("prepare",): "reading the configuration ...",
    ("translate", "--model", "no/run", "one"): "loading no/run ...",
    ("attention", "--model", "no/run", "one"): "loading no/run ...",
    ("score", "--model", "no/run", *TEXTS): "loading no/run ...",
    ("average", "--output", "out.pt", "--model", "no/run"): "loading no/run ...",
}
PRESS = """
import os, signal, sys
sys.argv = ["nmt", *sys.argv[1:]]
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(100000): pass
            except BaseException:  # as some libraries do around optional imports
                pass
sys.meta_path.insert(0, Press())
from nmt.__main__ import main
main()
"""


def _on_terminal(code: list[str], folder: Path) -> tuple[int, str]:
    """Run Python with stderr on a terminal, and return its status and what the terminal got."""
    control, terminal = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, *code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        cwd=folder,
        env=environment,
    ) as process:
        os.close(terminal)
        written = b""
        while True:
            try:
                block = os.read(control, 10_000)
            except OSError:  # Linux: the last process has closed the terminal
                break
            if not block:
                break
            written += block
        os.close(control)
    return process.returncode, written.decode()


@pytest.mark.parametrize("arguments", FIRST, ids=lambda arguments: arguments[0])
def test_the_first_line_comes_before_anything_heavy_is_imported(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    heavy = "class Refuse:\n    def find_spec(self, name, path=None, target=None):\n"
    heavy += "        if name in ('torch', 'hydra', 'numpy'): sys.exit(7)\n"
    code = f"import sys\n{heavy}sys.meta_path.insert(0, Refuse())\n"
    code += f"sys.argv = ['nmt', *{list(arguments)!r}]\nfrom nmt.__main__ import main; main()"
    status, written = _on_terminal(["-c", code], tmp_path)
    assert status == 7, written
    assert written.replace("\x1b[K", "").lstrip("\r").startswith(FIRST[arguments])


@pytest.mark.parametrize("module", ["typer", "torch", "hydra"])
def test_ctrl_c_during_an_import_is_never_swallowed(module: str, tmp_path: Path) -> None:
    arguments = ["translate", "--model", "no/run", "one"] if module == "torch" else ["train"]
    status, written = _on_terminal(["-c", PRESS.format(module=module), *arguments], tmp_path)
    assert status in (130, -signal.SIGINT), written  # a shell shows both as 130
    lines = [line for line in written.replace("\r", "\n").split("\n") if line.strip("\x1b[K")]
    assert lines[-1:] in ([], ["nmt: interrupted"]), written
    assert "Traceback" not in written


@pytest.mark.parametrize(
    "arguments",
    [
        ("translate", "one"),
        ("score", *TEXTS),
        pytest.param(("align", *TEXTS), marks=pytest.mark.slow),
        pytest.param(("attention", "one"), marks=pytest.mark.slow),
    ],
    ids=lambda arguments: arguments[0],
)
def test_work_begins_with_the_collector_and_an_ordinary_ctrl_c(
    arguments: tuple[str, ...], heads_model: Path, tmp_path: Path
) -> None:
    name, *rest = arguments
    code = (
        "import gc, signal, sys\n"
        "import nmt.cli.main as command\n"
        f"sys.argv = ['nmt', {name!r}, '--model', {str(heads_model)!r}, *{rest!r}]\n"
        "try:\n    command.main()\nexcept SystemExit:\n    pass\n"
        "assert gc.isenabled()\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    status, written = _on_terminal(["-c", code], tmp_path)
    assert status == 0, written


def test_loading_leaves_a_process_that_has_torch_alone() -> None:
    import torch  # noqa: F401

    from nmt import loading_phase

    before = signal.getsignal(signal.SIGINT)
    loading_phase.begin()
    assert gc.isenabled()
    assert signal.getsignal(signal.SIGINT) is before


def _after_translation(model: Path, question: str, *arguments: str) -> str:
    """Return what Python prints about a process that has translated."""
    code = (
        "import sys\n"
        "import nmt.cli.main as command\n"
        f"sys.argv = ['nmt', 'translate', '--model', {str(model)!r}, *{list(arguments)!r}]\n"
        "try:\n    command.main()\nexcept SystemExit as ending:\n    assert not ending.code\n"
        f"{question}"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


def test_a_translation_loads_only_what_it_needs(heads_model: Path) -> None:
    unneeded = [
        *("hydra", "omegaconf", "yaml", "sympy", "matplotlib", "sacrebleu", "tensorboard"),
        *("torch._dynamo", "torch._inductor", "torch._refs", "torch._decomp", "torchao"),
        *(
            "nmt.documents.document_formats",
            "nmt.training.trainer",
            "nmt.evaluation",
            "nmt.pipeline",
        ),
        *("nmt.cli.evaluate", "nmt.cli.align", "nmt.cli.bench", "nmt.export", "ctranslate2"),
    ]
    question = f"print([name for name in {unneeded!r} if name in sys.modules])"
    assert _after_translation(heads_model, question, "one two") == "[]"


def test_the_part_of_torch_that_is_left_out_is_loaded_when_it_is_used(heads_model: Path) -> None:
    question = (
        "from nmt.torch_import import DEFERRED\n"
        "assert 'torch._refs' not in sys.modules\n"
        "module = sys.modules[DEFERRED]\n"
        "assert callable(module.register_meta)\n"
        "assert 'torch._refs' in sys.modules\n"
        "import torch\n"
        "print(list(torch.arange(3, device='meta').cumsum(0).shape))\n"
    )
    assert _after_translation(heads_model, question, "one two") == "[3]"


def test_nothing_of_torch_is_left_out_where_torch_is_loaded() -> None:
    import torch  # noqa: F401

    from nmt.torch_import import DEFERRED, defer_shape_functions

    before = list(sys.meta_path)
    defer_shape_functions()
    assert sys.meta_path == before
    assert "_Deferred" not in type(sys.modules[DEFERRED]).__name__


def test_faithfulness_in_a_process_of_its_own(heads_model: Path) -> None:
    # It draws permutations, for which the part of torch that other commands leave out is needed.
    command = [sys.executable, "-m", "nmt", "attention", "--model", heads_model, "one two four six"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [*command, "--faithfulness"], capture_output=True, text=True, env=environment, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "weights permuted" in result.stdout
