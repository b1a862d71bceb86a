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
