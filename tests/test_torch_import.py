"""Waiting threads sleep soon, unless the user chose how they wait."""

import os
import subprocess
import sys

import pytest

from nmt.torch_import import SPINS, let_waiting_threads_sleep

VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, SPINS),
        ({"GOMP_SPINCOUNT": "infinity"}, "infinity"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_threads_wait_as_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: str | None
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    let_waiting_threads_sleep()
    found = os.environ.get("GOMP_SPINCOUNT")
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")  # the end of the test restores what was there
    assert found == expected


def test_a_command_sets_the_variable_before_it_imports_torch() -> None:
    code = (
        "import os, sys, nmt.__main__ as entry, nmt.cli.main as cli\n"
        "cli.main = lambda: print('torch' in sys.modules, os.environ['GOMP_SPINCOUNT'])\n"
        "entry.main()"
    )
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=kept, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", SPINS]
