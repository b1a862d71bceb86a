"""scripts/draw_scaling: a panel changes one thing, and what is learned is what is counted."""

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

from nmt.bench.counts import Counts

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "draw_scaling"


@pytest.fixture(scope="module")
def scaling() -> Iterator[Any]:
    """The script as a module."""
    loader = SourceFileLoader("draw_scaling", str(SCRIPT))
    spec = importlib.util.spec_from_loader("draw_scaling", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setitem(sys.modules, "draw_scaling", module)
        loader.exec_module(module)
        yield module


def test_a_panel_changes_one_thing(scaling: Any) -> None:
    for panel in scaling.PANELS.values():
        settings = [asdict(point) for point in panel]
        changed = {name for name in settings[0] if len({s[name] for s in settings}) > 1}
        assert changed == {scaling.changed(panel)}


@pytest.mark.parametrize(("rows", "length"), [(1, 512), (256, 16), (512, 8)])
def test_sentences_hold_what_they_should_and_no_pads(scaling: Any, rows: int, length: int) -> None:
    counts = Counts.of(scaling.sentences(rows, length))
    assert counts.target_tokens == rows * length
    assert counts.source_tokens == rows * length
    assert counts.target_padding == counts.source_padding == 0
