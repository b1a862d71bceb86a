"""scripts/attention_costs: every kind can be measured, and wrong arguments end with one line."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nmt.config.self_attention import LIMITS, SelfAttention


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], Any]) -> Iterator[Any]:
    """The script as a module."""
    path = list(sys.path)
    yield load_script("attention_costs")
    sys.path[:] = path


@pytest.fixture
def call(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Call the script and return its lines."""

    def lines(*arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["attention_costs", *arguments])
        script.main()
        return capsys.readouterr().out.splitlines()

    return lines


def test_a_step_of_search_is_measured_for_every_kind_of_a_decoder(
    call: Callable[..., list[str]],
) -> None:
    """One earlier piece is fewer than the sums of a linear kind have axes and heads."""
    lines = call("--kinds", "--search", "--lengths", "1,20", "--rounds", "1", "--threads", "1")
    kinds = [kind for kind in SelfAttention if LIMITS[kind].decoder]
    assert [line.split("`")[1] for line in lines[2:]] == kinds
    assert all(line.count(" ms, ") == 2 for line in lines[2:])


def test_a_single_length_has_no_exponent(call: Callable[..., list[str]]) -> None:
    lines = call("--kinds", "full;low_rank", "--lengths", "9", "--rounds", "1", "--threads", "1")
    assert [line.split("`")[1] for line in lines[2:]] == ["full", "low_rank"]
    assert all(line.endswith(" MiB | -, - |") for line in lines[2:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "--rounds: 0 is too small; the least is 1"),
        (["--length", "0"], "--length: 0 is too small; the least is 1"),
        (["--threads", "-1"], "--threads: -1 is too small; the least is 1"),
        (["--kinds", "sparse"], "'sparse' is not one of full; "),
        (["--kinds", ""], "'' is not one of full; "),
        (["--kinds", "--lengths", "64,0"], "--lengths: 0 is too small; the least is 1"),
        (["--kinds", "--lengths", "64,long"], "--lengths: 'long' is not a whole number"),
        (["--kinds", "low_rank", "--search"], "--search: no decoder has low_rank"),
        (["--search"], "--search applies to kinds of self-attention: add --kinds"),
        (["--lengths", "64"], "--lengths applies to kinds of self-attention: add --kinds"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    call: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit) as refused:
        call(*arguments)
    assert refused.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
