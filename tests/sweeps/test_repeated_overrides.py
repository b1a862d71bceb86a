"""A setting with two values: one warning names the value that counts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.sweeps.repeated_overrides import repeated_overrides


@pytest.mark.parametrize(
    ("overrides", "last"),
    [
        (["seed=1", "seed=2"], "seed=2"),
        (["model=rnn", "seed=1", "model=transformer"], "model=transformer"),
        (["+data.extra.a.path=x", "data.extra.a.path=y"], "data.extra.a.path=y"),
        (["seed=1", "-m", "seed=1,2", "seed=3"], "seed=3"),
    ],
)
def test_the_last_of_different_values_is_named(overrides: list[str], last: str) -> None:
    (message,) = repeated_overrides(overrides)
    assert message.endswith(f"with different values; the last one counts: {last}")


@pytest.mark.parametrize(
    "overrides", [["seed=1", "seed=1"], ["seed=1", "data.split_seed=2"], ["-m"]]
)
def test_one_value_is_no_reason_for_a_warning(overrides: list[str]) -> None:
    assert list(repeated_overrides(overrides)) == []


@pytest.mark.parametrize("command", ["train", "prepare"])
def test_the_commands_warn_once(
    command: str,
    nmt: Callable[..., Any],
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    settings = [*tiny(corpus), f"run.dir={tmp_path / 'run'}", "training.dry_run=true"]
    result = nmt(command, *settings, "seed=4", "seed=5")
    assert result.status == 0, result.err
    warning = "warning: seed is given 2 times with different values; the last one counts: seed=5"
    assert result.err.splitlines().count(warning) == 1
