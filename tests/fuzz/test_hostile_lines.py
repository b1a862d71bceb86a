"""Hostile lines through `nmt translate`: as many out as in, in order, in flat memory.

The first answers come before the input ends.

``NMT_FUZZ_LINES=100000`` sets their number, ``NMT_FUZZ_SEED=7`` draws others.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hostile_lines import WORDS, hostile_lines

from nmt.checkpoint import Checkpoint, save_checkpoint
from nmt.config.model import ModelConfig
from nmt.config.schema import Config
from nmt.model.seq2seq import TranslationModel
from nmt.text.tokenizer import train_tokenizers

LINES = int(os.environ.get("NMT_FUZZ_LINES", "1500"))
SEED = int(os.environ.get("NMT_FUZZ_SEED", "1"))
MOST_MORE_MEGABYTES = 60  # than for a single line
N_BEST = 2
MEASURED = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as peak:
    peak.write(str(usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Runs a command and writes its peak memory, in kilobytes. What a process has until it starts the
command counts as the command's; so this small process starts it, and not the one of the tests."""


@pytest.fixture
def model(
    tmp_path_factory: pytest.TempPathFactory,
    run_config: Callable[..., Config],
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> Path:
    """A tiny model with random weights and pieces for all bytes; its scores differ by the line."""
    settings = tiny_config(attention="luong_dot")
    config = run_config(settings)
    config.decoding.max_length_ratio, config.decoding.max_length_extra = 0.1, 2
    config.decoding.beam_size = N_BEST
    tokenizer = replace(config.tokenizer, name="unigram", vocab_size=279, byte_fallback=True)
    text = [" ".join(WORDS)]
    pair = train_tokenizers(tokenizer, text, text)
    weights = tiny_model(settings, len(pair.source), len(pair.target)).state_dict()
    path = tmp_path_factory.mktemp("model") / "model.pt"
    save_checkpoint(Checkpoint(config, pair, weights, None, {}), path)
    return path


def _translate(model: Path, text: Path, *flags: str) -> tuple[bytes, bytes, float]:
    """Translate in a process of its own; return its output, its errors and its peak megabytes.

    The last line is sent when there is an answer.
    """
    command = [sys.executable, "-m", "nmt", "translate", "--model", str(model), *flags]
    out, err, peak = (text.with_suffix(f".{name}") for name in ("out", "err", "peak"))
    first, _, last = text.read_bytes().removesuffix(b"\n").rpartition(b"\n")
    with out.open("wb") as output, err.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", MEASURED, str(peak), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
        )
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(first + b"\n" if first else b"")
            pipe.flush()
            deadline = time.monotonic() + 300
            while first and not out.stat().st_size:
                assert process.poll() is None, err.read_text(errors="replace")[-2000:]
                assert time.monotonic() < deadline, "no answer before the last line"
                time.sleep(0.05)
            pipe.write(last + b"\n")
        assert process.wait() == 0, err.read_text(errors="replace")[-2000:]
    return out.read_bytes(), err.read_bytes(), int(peak.read_text()) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs the memory of a child process")
def test_hostile_lines_come_out_in_number_order_and_flat_memory(
    model: Path, tmp_path: Path, nmt: Callable[..., Any]
) -> None:
    flags = ["--errors", "replace", "--n-best", str(N_BEST)]
    one = tmp_path / "one"
    one.write_bytes(b"one two\n")
    _, _, least = _translate(model, one, *flags)
    lines = list(hostile_lines(LINES, SEED))
    text = tmp_path / "all"
    text.write_bytes(b"".join(line + b"\n" for line in lines))
    began = time.monotonic()
    out, err, most = _translate(model, text, *flags)
    print(f"{LINES:,} lines in {time.monotonic() - began:.0f} s; {least:.0f} and {most:.0f} MB")
    rows = out.split(b"\n")
    assert rows.pop() == b""
    assert len(rows) == N_BEST * LINES
    assert all(row.count(b"\t") == 1 for row in rows)
    scores = [float(row.split(b"\t")[0]) for row in rows]
    assert all(first >= second for first, second in zip(scores[::2], scores[1::2], strict=True))
    assert b"Traceback" not in err
    assert err.count(b"\n") < 50
    assert most < least + MOST_MORE_MEGABYTES
    random = Random(SEED)
    for _ in range(3):  # what stands at these places is what the same lines give alone
        start = random.randrange(LINES)
        part = lines[start : start + 150]
        alone = nmt("translate", "--model", model, *flags, stdin=b"\n".join(part) + b"\n")
        assert alone.status == 0
        expected = rows[N_BEST * start : N_BEST * (start + len(part))]
        found = alone.out.encode().split(b"\n")[:-1]
        assert [row.split(b"\t")[1] for row in found] == [row.split(b"\t")[1] for row in expected]
        assert [float(row.split(b"\t")[0]) for row in found] == pytest.approx(
            [float(row.split(b"\t")[0]) for row in expected], abs=2e-4
        )  # other batches round in other places, and four digits are printed
    assert len(set(rows[::2])) > LINES / 10  # so that a wrong order would be found
