"""Which settings a comparison of runs lists."""

from types import SimpleNamespace
from typing import Any

import pytest

from nmt.run.comparison.run_comparison import differing_settings
from nmt.sweeps.overrides import compose_config

RNN = ["model=rnn"]
ATTENTION = "model/decoder/attention"
WINDOW = "model.decoder.attention.window"


def _differing(*runs: list[str]) -> list[str]:
    records: list[Any] = [
        SimpleNamespace(config=compose_config(run, {}), summary={}) for run in runs
    ]
    return differing_settings(records)


@pytest.mark.parametrize("kind", ["luong_general", "bahdanau"])
def test_a_window_is_listed_beside_the_kind_of_attention(kind: str) -> None:
    """Kinds share the setting, so the kind alone does not explain the difference of the runs."""
    local = [*RNN, f"{ATTENTION}={kind}", f"{WINDOW}=local_p"]
    found = _differing([*RNN, f"{ATTENTION}=luong_dot"], local, [*RNN, f"{ATTENTION}=none"])
    assert WINDOW in found
    assert "model.decoder.attention.name" in found


def test_settings_of_different_kinds_are_not_listed() -> None:
    found = _differing([*RNN, f"{ATTENTION}=bahdanau"], ["model=transformer"])
    assert "model.decoder.name" in found
    assert not [key for key in found if key.startswith("model.decoder.attention.")]
    assert _differing([*RNN, f"{ATTENTION}=luong_dot"], [*RNN, f"{ATTENTION}=none"]) == [
        "model.decoder.attention.name"
    ]
