"""scripts/draw_schedules: the schedules that it draws are those of the trainer."""

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "draw_schedules"


@pytest.fixture
def schedules(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module."""
    loader = SourceFileLoader("draw_schedules", str(SCRIPT))
    spec = importlib.util.spec_from_loader("draw_schedules", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(module)
    return module


def test_the_rate_on_a_plateau_falls_behind_the_last_gain_alone(schedules: Any) -> None:
    factors = schedules.factors(["schedule=plateau"])
    flat = factors[schedules.LAST_GAIN - schedules.VALIDATE_EVERY : schedules.LAST_GAIN]
    assert len(set(flat)) == 1
    assert factors[-1] < flat[0] == max(factors)
    assert all(0 < factor <= 1 for factor in factors)
