"""`nmt translate --devices` and `--threads`: the same answers from several processes or threads."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import NUMBERS, ZAHLEN

from nmt.decoding.engine import Loaded
from nmt.decoding.ensemble import load_models
from nmt.decoding.parallel_engine import LISTS_A_PROCESS, ParallelEngine, parallel_engine
from nmt.decoding.worker_process import WorkerProcess
from nmt.errors import UserError

Nmt = Callable[..., Any]
Refused = Callable[..., str]

TWO = ("--devices", "cpu,cpu", "--threads", "2")


def _lines(count: int) -> str:
    draw = random.Random(3)
    return "".join(
        f"{' '.join(draw.choices(NUMBERS, k=draw.randrange(1, 12)))}\n" if i % 7 else "\n"
        for i in range(count)
    )


def load(model: Path) -> Loaded:
    """Load a model as a worker does."""
    checkpoints, translator = load_models([model], device="cpu")
    return [checkpoint.config for checkpoint in checkpoints], translator


@pytest.fixture
def engine(heads_model: Path) -> Iterator[ParallelEngine]:
    """Two processes with the model of two layers."""
    loads = [partial(load, heads_model)] * 2
    with parallel_engine(loads, ["cpu", "cpu"]) as found:
        yield found


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--n-best", "2", "--beam-size", "2", "--output-format", "moses"),
        ("--output-format", "json", "--with-attention"),
        pytest.param(("--sample", "--seed", "5"), marks=pytest.mark.slow),
        pytest.param(("--mbr", "4"), marks=pytest.mark.slow),
        pytest.param(("--prefix", ZAHLEN[0], "--forbid", ZAHLEN[1]), marks=pytest.mark.slow),
        pytest.param(("--protect", "numbers"), marks=pytest.mark.slow),
    ],
    ids=lambda flags: flags[0] if flags else "plain",
)
def test_two_processes_give_the_answers_of_one(
    flags: tuple[str, ...], heads_model: Path, nmt: Nmt
) -> None:
    words = "translate", "--model", heads_model, "--batch-size", 4, *flags
    text = _lines(80).encode()
    one, two = nmt(*words, stdin=text), nmt(*words, *TWO, stdin=text)
    assert (one.status, two.status) == (0, 0), two.err
    found, expected = two.out.splitlines(), one.out.splitlines()
    assert len(found) == len(expected) >= 80
    for line, other in zip(found, expected, strict=True):
        if line != other:  # scores may differ in their last digit: the batches differ
            numbers, texts = zip(*(_split(part) for part in (line, other)), strict=True)
            assert texts[0] == texts[1]
            assert numbers[0] == pytest.approx(numbers[1], abs=2e-4)


def _split(line: str) -> tuple[list[float], str]:
    """Return the decimal numbers of a line, and the rest of it."""
    pattern = r"-?\d+\.\d+(?:e-?\d+)?"
    return [float(number) for number in re.findall(pattern, line)], re.sub(pattern, "N", line)


@pytest.mark.parametrize("flags", [(), ("--beam-size", "1"), ("--output-format", "json")])
def test_threads_change_no_text(flags: tuple[str, ...], heads_model: Path, nmt: Nmt) -> None:
    import json

    import torch

    before = torch.get_num_threads()
    try:
        words = "translate", "--model", heads_model, *flags
        results = [nmt(*words, "--threads", count, stdin=_lines(60).encode()) for count in (1, 2)]
    finally:
        torch.set_num_threads(before)
    texts = [result.out.splitlines() for result in results]
    if flags[-1:] == ("json",):
        texts = [[json.loads(line)["translation"] for line in lines] for lines in texts]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 60


@pytest.mark.parametrize("command", ["translate", "score", "evaluate", "align", "attention"])
def test_a_number_of_threads_is_checked(command: str, heads_model: Path, refused: Refused) -> None:
    texts = {"translate": ["one"], "attention": ["one"]}
    arguments = texts.get(command, ["--source", __file__, "--target", __file__])
    if command == "evaluate":
        arguments = ["--source", __file__, "--reference", __file__]
    message = refused(command, "--model", heads_model, "--threads", 0, *arguments)
    assert message == "threads is 0; it must be from 1 to 1,024"


def test_many_sentences_are_shared_out_by_length(engine: ParallelEngine) -> None:
    sentences = [("one " * (i % 9 + 1)).strip() for i in range(600)]
    engine.decoding.__dict__["batch_size"] = 8  # as if the run had this setting
    lists = engine._lists(sentences)
    assert len(lists) == 2 * LISTS_A_PROCESS
    assert sorted(i for part in lists for i in part) == list(range(600))
    lengths = [len(sentences[i]) for part in lists for i in part]
    assert lengths == sorted(lengths, reverse=True)
    shares: list[float] = []
    found = engine.translate(sentences, advance=lambda done, share: shares.append(share))
    assert [one.source for one in found] == sentences
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_no_sentences_are_no_work(engine: ParallelEngine) -> None:
    assert engine.translate([]) == []


def test_a_process_that_is_killed_ends_the_command_with_one_line(engine: ParallelEngine) -> None:
    engine.translate(["one", "two"])
    engine._workers[1]._process.kill()
    with pytest.raises(UserError, match="the process of --devices cpu was ended by SIGKILL"):
        engine.translate(["one", "two three", "four"])


def test_an_error_in_a_process_is_one_line(engine: ParallelEngine) -> None:
    with pytest.raises(UserError, match=r"--devices cpu failed: \w+Error: .*'wrong'"):
        engine._workers[0].call("translate", 2, wrong=[])
    with pytest.raises(UserError, match="^the beam size is 0"):
        engine._workers[0].call("translate", 0, sentences=[])
    assert engine.translate(["one"])[0].source == "one"  # the processes go on


def test_the_processes_end_with_the_block(heads_model: Path) -> None:
    with parallel_engine([partial(load, heads_model)] * 2, ["cpu", "cpu"]) as found:
        workers: list[WorkerProcess] = list(found._workers)
    assert all(worker._process.returncode is not None for worker in workers)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--devices", "cpu,tpu:x"), "device 'tpu:x' cannot be used"),
        (("--devices", "cpu,"), "--devices cpu, has an empty name; write cuda:0,cuda:1"),
        (
            ("--devices", "cpu,cpu", "--device", "cpu"),
            "give either --device or --devices, not both",
        ),
    ],
    ids=["unknown", "empty", "both"],
)
def test_wrong_devices_are_refused(
    flags: tuple[str, ...], message: str, heads_model: Path, refused: Refused
) -> None:
    assert message in refused("translate", "--model", heads_model, *flags, "one")


def test_an_answer_comes_before_the_input_ends_and_no_process_is_left(heads_model: Path) -> None:
    command = [sys.executable, "-m", "nmt", "translate", "--model", str(heads_model), *TWO]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(2):
        process.stdin.write(b"one two\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"\n")
    children = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait(100)
    process.stdin.close()
    until = time.monotonic() + 60
    while any(_lives(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_lives(child) for child in children)


def _children(parent: int) -> list[int]:
    file = Path(f"/proc/{parent}/task/{parent}/children")
    if not file.exists():
        pytest.skip("this system does not list the children of a process")
    found = [int(word) for word in file.read_text().split()]
    assert len(found) == 2
    return found


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[-1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"
