"""scripts/draw_scaling: a panel varies one size, and the counted tokens are the trained ones."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from nmt.bench.counts import Counts


@pytest.fixture(scope="module")
def scaling(load_script: Callable[[str], Any]) -> Any:
    """The script as a module."""
    return load_script("draw_scaling")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--updates", "0"], "--updates must be 1 or more"),
        (["--output", "nowhere/scaling.png"], "the folder nowhere does not exist"),
    ],
)
def test_invalid_panels_are_refused_before_measuring(
    scaling: Any,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["draw_scaling", *arguments])
    with pytest.raises(SystemExit) as refused:
        scaling.main()
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_a_panel_changes_one_thing(scaling: Any) -> None:
    for panel in scaling.PANELS.values():
        settings = [asdict(point) for point in panel]
        changed = {name for name in settings[0] if len({s[name] for s in settings}) > 1}
        assert changed == {scaling.changed(panel)}


@pytest.mark.parametrize(("rows", "length"), [(1, 512), (256, 16), (512, 8)])
def test_sentences_have_the_requested_length_and_no_pads(
    scaling: Any, rows: int, length: int
) -> None:
    counts = Counts.of(scaling.sentences(rows, length))
    assert counts.target_tokens == rows * length
    assert counts.source_tokens == rows * length
    assert counts.target_padding == counts.source_padding == 0
