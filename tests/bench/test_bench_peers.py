"""scripts/bench_peers: the list of contestants and the table of ratios; no trainer is run."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.folders import config_directory

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_peers"


@pytest.fixture(scope="module")
def peers(load_script: Callable[[str], Any]) -> Any:
    """The script as a module."""
    return load_script("bench_peers")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_names_are_unique_and_every_workload_includes_nmt(peers: Any) -> None:
    everyone = [*peers.transformers(), *peers.rnns(), *peers.decoders()]
    names = [(contestant.work, contestant.name) for contestant in everyone]
    assert len(set(names)) == len(names)
    assert {c.work for c in everyone} == {c.work for c in everyone if c.ours}


def test_workloads_of_nmt_are_experiments_in_configs(peers: Any) -> None:
    ours = [c for c in [*peers.transformers(), *peers.rnns(), *peers.decoders()] if c.ours]
    for contestant in ours:
        choice = contestant.arguments[0].removeprefix("experiment=")
        assert (config_directory() / "experiment" / f"{choice}.yaml").is_file()


def test_a_ratio_is_the_median_of_the_ratios_per_round(peers: Any) -> None:
    contestants = [peers.peer("w", "them", "venv", "s.py"), peers.nmt("w", "us")]
    theirs = [peers.Outcome(speed, 20, False, 2**30) for speed in (100.0, 200.0, 50.0)]
    ours = [peers.Outcome(speed, 20, False, 2**29) for speed in (300.0, 400.0, 200.0)]
    *_, them, us = peers.table(contestants, {"them": theirs, "us": ours})
    assert cells(them)[-1] == "3.00 x"
    assert cells(us)[-1] == "1.00 x"
    assert "1.00 GiB" in cells(them)


def test_all_rows_are_as_wide_as_the_head(peers: Any) -> None:
    contestants = [
        *(peers.peer("w", name, "venv", "s.py") for name in ("some", "none")),
        *(peers.nmt("w", name) for name in ("us", "us too")),
    ]
    outcome = peers.Outcome(1.0, 0, True, 1.0, 0.1, 0.2)
    rounds = {
        "some": [outcome, None],
        "none": [None] * 2,
        "us": [outcome] * 2,
        "us too": [None] * 2,
    }
    lines = peers.table(contestants, rounds)
    assert len({line.count("|") for line in lines}) == 1
    assert cells(lines[2])[2] == "1* -"  # one of two rounds failed, and the other was not quiet
    assert cells(lines[3])[1] == "failed"


def test_a_run_without_quiet_updates_uses_all_updates_and_is_marked(peers: Any) -> None:
    result = {
        "quiet_tgt_tok_s": None,
        "all_tgt_tok_s": 900.0,
        "quiet_steps": 0,
        "tgt_pad_share": 0.1,
        "src_pad_share": 0.2,
    }
    outcome = peers.their_outcome(result, 1.0)
    assert (outcome.speed, outcome.busy) == (900.0, True)
    calm = peers.their_outcome(result | {"quiet_tgt_tok_s": 950.0, "quiet_steps": 9}, 1.0)
    assert (calm.speed, calm.busy) == (950.0, False)


def test_missing_folders_are_named() -> None:
    command = [sys.executable, "-S", str(SCRIPT), "--data", "x"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert "--peers, --venvs" in result.stderr.splitlines()[-1]
