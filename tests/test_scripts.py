"""The shell scripts, run in a copy of the project whose Python only records its calls."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ["scripts/setup", "scripts/test", "scripts/demo", "scripts/docs", ".ci/run"]
PYTHON_SCRIPTS = [
    *("attention_costs", "attention_tasks", "bench_peers", "bench_versions", "checkpoint_cost"),
    *("data_scale", "depth_costs", "make_reports"),
    *("draw_curves", "draw_scaling", "draw_schedules", "gpu_check", "loader_speed"),
    *("bench_toolkits", "compare_models", "results", "search_figures"),
]
BASH = shutil.which("bash")

pytestmark = pytest.mark.skipif(BASH is None, reason="needs bash")

# Records `python -m TOOL ...` in the file `calls` without running the tool. Other calls run a bare
# Python (-S: without installed packages). A file `fail-TOOL` in the project makes that tool fail.
FAKE_PYTHON = """#!/bin/sh
if [ "$1" = -m ]; then
    printf '%s\\n' "$*" >>calls
    [ "$*" = '-m pip --version' ] && exit 0
    if [ -e "fail-$2" ]; then echo "$2: something went wrong"; exit 3; fi
    echo "$2: noise"
    exit 0
fi
exec '{python}' -S "$@"
"""


class Project:
    """A copy of the scripts in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in [*SCRIPTS, "pyproject.toml", "constraints.txt"]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)

    def add_environment(self) -> None:
        binaries = self.folder / ".venv" / "bin"
        binaries.mkdir(parents=True)
        for name, text in (
            ("python", FAKE_PYTHON.format(python=sys.executable)),
            ("nmt", "#!/bin/sh\necho nmt 0\n"),
        ):
            (binaries / name).write_text(text)
            (binaries / name).chmod(0o755)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "PYTHONPATH")}
        return subprocess.run(
            [BASH or "bash", *command],
            cwd=self.folder,
            env=inherited | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def new_calls(self) -> list[str]:
        """Return the calls recorded since the previous time, and delete the record."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture
def bare(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def project(bare: Project) -> Project:
    bare.add_environment()
    return bare


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_well_formed(name: str) -> None:
    path = ROOT / name
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert re.search(r"^set -e?uo pipefail$", text, re.MULTILINE)
    assert os.access(path, os.X_OK), f"{name} is not executable"
    assert not re.search(r"/(home|root|Users)/", text), f"{name} contains a path of one machine"
    check = subprocess.run([BASH or "bash", "-n", path], capture_output=True, text=True)
    assert check.returncode == 0, check.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHON_SCRIPTS)
def test_python_script_finds_its_imports_and_prints_help(name: str) -> None:
    path = ROOT / "scripts" / name
    result = subprocess.run(
        [sys.executable, path, "--help"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    docstring = path.read_text(encoding="utf-8").partition('"""')[2]
    assert docstring.splitlines()[0].split()[:3] == result.stdout.partition("\n\n")[2].split()[:3]


def test_setup_prints_help(bare: Project) -> None:
    result = bare.run("scripts/setup", "--help")
    assert result.returncode == 0
    assert "scripts/setup --check" in result.stdout
    assert "set -euo" not in result.stdout
    assert not (bare.folder / ".venv").exists()


def test_setup_rejects_unknown_arguments(bare: Project) -> None:
    result = bare.run("scripts/setup", "--chekc")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "--chekc" in result.stderr


def test_setup_check_changes_no_file(bare: Project) -> None:
    result = bare.run("scripts/setup", "--check")
    assert result.returncode == 1
    assert "scripts/setup" in result.stderr
    assert not (bare.folder / ".venv").exists()


def test_setup_reports_a_missing_python_in_one_line(bare: Project, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    dirname = shutil.which("dirname")
    assert dirname is not None
    (tools / "dirname").symlink_to(dirname)
    result = bare.run("scripts/setup", PATH=str(tools))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "3.11" in result.stderr
    assert not (bare.folder / ".venv").exists()


def test_setup_rejects_an_unsuitable_python(bare: Project) -> None:
    result = bare.run("scripts/setup", PYTHON="false")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "PYTHON=false" in result.stderr


def test_setup_installs_once(project: Project) -> None:
    first = project.run("scripts/setup")
    assert first.returncode == 0, first.stderr
    assert "noise" not in first.stdout + first.stderr
    calls = project.new_calls()
    assert any("--editable .[dev]" in call for call in calls)
    assert all("--constraint constraints.txt" in call for call in calls if " install" in call)

    second = project.run("scripts/setup")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert project.new_calls() == []
    assert project.run("scripts/setup", "--check").returncode == 0


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_setup_reinstalls_after_a_change(project: Project, name: str) -> None:
    assert project.run("scripts/setup").returncode == 0
    project.new_calls()
    with (project.folder / name).open("a") as file:
        file.write("# changed\n")
    assert project.run("scripts/setup", "--check").returncode == 1
    assert project.run("scripts/setup").returncode == 0
    assert project.new_calls()


def test_setup_continues_after_a_failure(project: Project) -> None:
    (project.folder / "fail-pip").touch()
    result = project.run("scripts/setup")
    assert result.returncode == 1
    assert "pip: something went wrong" in result.stderr
    assert project.run("scripts/setup", "--check").returncode == 1

    (project.folder / "fail-pip").unlink()
    project.new_calls()
    assert project.run("scripts/setup").returncode == 0
    assert project.new_calls()


def test_test_runs_slow_tests_only_on_request(project: Project) -> None:
    assert project.run("scripts/test", "-k", "two words").returncode == 0
    assert project.new_calls()[-1] == "-m pytest -m not slow -k two words"
    assert project.run("scripts/test", "--slow").returncode == 0
    assert project.new_calls()[-1] == "-m pytest -n auto --dist loadfile --no-loadscope-reorder"


def test_test_prints_a_table_of_durations(project: Project) -> None:
    report = project.folder / ".pytest_cache" / "durations.xml"
    report.parent.mkdir()
    case = '<testcase classname="tests.run.test_x" name="test_{}" time="{}">{}</testcase>'
    cases = [("a[1]", 1.2, ""), ("a[2]", 2.4, ""), ("b", 9, ""), ("c", 0, "<skipped/>")]
    report.write_text(f"<testsuites>{''.join(case.format(*row) for row in cases)}</testsuites>")
    result = project.run("scripts/test", "--durations", "tests/run")
    assert result.returncode == 0, result.stderr
    assert project.new_calls()[-1].startswith("-m pytest -m slow tests/run --junitxml=")
    assert result.stdout.splitlines()[-5:] == [
        "| test | cases | seconds |",
        "|---|--:|--:|",
        "| `tests/run/test_x.py::test_b` | 1 | 9 |",
        "| `tests/run/test_x.py::test_a` | 2 | 4 |",
        "| total | 3 | 13 |",
    ]


def test_docs_builds_strictly_and_rejects_unknown_arguments(project: Project) -> None:
    result = project.run("scripts/docs")
    assert result.returncode == 0, result.stderr
    calls = project.new_calls()
    assert any("--constraint constraints.txt --editable .[docs]" in call for call in calls)
    assert calls[-1].startswith("-m mkdocs build --strict")

    result = project.run("scripts/docs", "--sevre")
    assert result.returncode == 1
    assert "--sevre" in result.stderr


def test_ci_runs_every_stage_and_reports_the_failures(project: Project) -> None:
    result = project.run(".ci/run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "all passed" in result.stdout.splitlines()[-1]

    (project.folder / "fail-pytest").touch()
    (project.folder / "fail-mypy").touch()
    result = project.run(".ci/run")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == "==== FAILED: tests without-avx512 types"
    assert "==== format: passed" in result.stdout


def test_every_script_in_python_is_linted() -> None:
    """Ruff finds files by their suffix, and scripts have none."""
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
    files = (file for file in (ROOT / "scripts").iterdir() if file.is_file() and not file.suffix)
    python = {file for file in files if "python" in file.read_text(encoding="utf-8").split("\n")[0]}
    assert {ROOT / name for name in ruff["extend-include"]} == python
