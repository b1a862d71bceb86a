"""scripts/project_environment.py: a script finds the project's environment, or names the remedy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
EXCEPT = ["bench_peers", "bench_versions", "gpu_check", "data_scale", "language_names"]
"""Scripts that need no package of nmt, or choose the environment themselves."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of scripts whose Python has no packages."""
    (tmp_path / "scripts").mkdir()
    module = (SCRIPTS / "project_environment.py").read_text(encoding="utf-8")
    (tmp_path / "scripts" / "project_environment.py").write_text(module, encoding="utf-8")
    script = "import sys\nimport project_environment\nprint('ran', *sys.argv[1:])\n"
    (tmp_path / "scripts" / "measure").write_text(script, encoding="utf-8")
    return tmp_path


def _run(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-c", _WITHOUT_PACKAGES, "a b", "--c"]
    environment = {
        name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ
    }
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )


_WITHOUT_PACKAGES = """
import runpy, sys
sys.argv[0] = "scripts/measure"
sys.path.insert(0, "scripts")
runpy.run_path("scripts/measure", run_name="__main__")
"""


def test_a_script_without_an_environment_names_the_remedy(project: Path) -> None:
    result = _run(project)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("measure: this Python (")
    assert "has no torch: create the project's environment with scripts/setup" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_script_starts_again_in_the_environment_of_the_project(project: Path) -> None:
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "restarted $#: $*"\n', encoding="utf-8")
    python.chmod(0o755)
    result = _run(project)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "restarted 3: scripts/measure a b --c\n"


def test_every_script_that_needs_packages_looks_for_them_first() -> None:
    for path in SCRIPTS.iterdir():
        if not path.is_file() or path.suffix or path.name in EXCEPT:
            continue
        text = path.read_text(encoding="utf-8")
        if text.startswith("#!/usr/bin/env python3"):
            lines = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
            names = [line.split()[1].partition(".")[0] for line in lines]
            first = next(name for name in names if name not in sys.stdlib_module_names)
            assert first == "project_environment", path.name
