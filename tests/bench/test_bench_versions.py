"""scripts/bench_versions: invalid arguments are refused, and valid ones are measured."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench_versions(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "scripts/bench_versions", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-revision", "."], "'no-such-revision' is not a revision of this repository"),
        ([".", ".", "--updates", "1"], "--updates must be 2 or more"),
        ([".", ".", "--compile", "model=rnn"], "remove model=..."),
        ([".", ".", "model.encoder.nothing=1"], "model.encoder.nothing"),
    ],
)
def test_invalid_measurements_are_refused(arguments: list[str], message: str) -> None:
    refused = bench_versions(*arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("override", ["model.encoder.num_layers=1", "model=rnn"])
def test_settings_behind_options_count_and_ratios_are_in_order(override: str) -> None:
    found = bench_versions(".", ".", "--updates", "3", "--shapes", "many", override)
    assert found.returncode == 0, found.stderr
    *speeds, ratio = found.stdout.splitlines()
    assert len(speeds) == 2
    middle, low, high = map(float, re.findall(r"\d+\.\d{3}", ratio))
    assert 0 < low <= middle <= high
