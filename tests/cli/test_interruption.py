"""Ctrl-C is told once, in one line, with the shell's status; nothing half-written remains."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.stop_signals import collect_stop_signals
from nmt.data.preparation import judge_training_text
from nmt.decoding.translator import Translator
from nmt.run import final_test
from nmt.text import train_model, trainer_process

Nmt = Callable[..., Any]
Tiny = Callable[[Path], list[str]]
INTERRUPTED = 130


def press(*_: Any, **__: Any) -> Any:
    """Press Ctrl-C where work would take long."""
    os.kill(os.getpid(), signal.SIGINT)
    raise AssertionError("Ctrl-C had no effect at once")


def told(error: str) -> list[str]:
    return [line for line in error.splitlines() if line.startswith("nmt:")]


@pytest.mark.parametrize("command", ["prepare", "train"])
@pytest.mark.parametrize("stage", ["tokenizer", "reading"])
def test_a_preparation_ends_at_once(
    nmt: Nmt,
    corpus: Path,
    tiny: Tiny,
    tmp_path: Path,
    command: str,
    stage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if stage == "tokenizer":
        monkeypatch.setattr(train_model, "_SHORT", 0)
        monkeypatch.setattr(trainer_process, "_answer", press)
    else:
        monkeypatch.setattr(judge_training_text, "outline_chunk", press)
    settings = [f"data.cache_dir={tmp_path / 'cache'}", f"run.dir={tmp_path / 'run'}"]
    result = nmt(command, *tiny(corpus), *settings)
    assert result.status == INTERRUPTED, result.err
    assert told(result.err) == ["nmt: interrupted"]
    assert not (tmp_path / "run").exists()
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".lock"]


def test_the_final_test_ends_at_once_and_runs_in_the_next_call(
    nmt: Nmt, corpus: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", *tiny(corpus), f"run.dir={tmp_path / 'run'}"]
    with monkeypatch.context() as patch:
        patch.setattr(final_test.FinalTest, "run", press)
        result = nmt(*command)
    assert result.status == INTERRUPTED, result.err
    assert told(result.err) == ["nmt: interrupted"]
    assert nmt(*command).status == 0


@pytest.mark.parametrize("to_file", [True, False])
def test_a_search_ends_at_once_and_one_line_names_what_is_written(
    nmt: Nmt, run: Path, tmp_path: Path, to_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Translator, "translate", press)
    output = tmp_path / "answers.txt"
    arguments = ["--output", output] if to_file else []
    result = nmt("translate", "--model", run, *arguments, stdin=b"one two\n")
    assert result.status == INTERRUPTED
    where = f"; {output} has the answers to the first 0 lines" if to_file else ""
    assert told(result.err) == [f"nmt: interrupted{where}"]


def test_outside_training_ctrl_c_raises_and_inside_it_first_asks() -> None:
    with collect_stop_signals() as requests:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert not requests()
        with requests.saved():
            signal.raise_signal(signal.SIGINT)
            assert requests()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


def test_ctrl_c_while_a_command_exits_prints_nothing() -> None:
    code = (
        "import atexit, os, signal, sys\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv, sys.modules['torch'] = ['nmt', '--version'], None  # as after loading\n"
        "from nmt.__main__ import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode in (INTERRUPTED, -signal.SIGINT)  # a shell shows both as 130
    assert ended.stderr == b""
