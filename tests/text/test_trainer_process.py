"""SentencePiece in a process of its own: the same model, its errors, and an end at any moment."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from nmt.errors import UserError
from nmt.text import trainer_process
from nmt.text.trainer_process import train_here, train_in_process

LINES = [f"a sentence with the number {number} in it" for number in range(2_500)]
SETTINGS: dict[str, Any] = dict(
    model_type="bpe", vocab_size=80, input_format="text", num_threads=1, minloglevel=2
)


def test_both_ways_give_the_same_model() -> None:
    assert train_in_process(LINES, SETTINGS, lambda: None) == train_here(LINES, SETTINGS)


def test_the_message_of_sentencepiece_arrives() -> None:
    with pytest.raises(RuntimeError, match="<= "):
        train_in_process(LINES, SETTINGS | {"vocab_size": 5_000}, lambda: None)


@pytest.mark.parametrize("call", [1, 2], ids=["while-the-text-is-sent", "while-it-trains"])
def test_an_interruption_kills_the_process(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    begin = subprocess.Popen

    def popen(*arguments: Any, **options: Any) -> "subprocess.Popen[bytes]":
        started.append(begin(*arguments, **options))
        started[0].communicate = lambda timeout: _never(timeout)  # type: ignore[method-assign]
        return started[0]

    def _never(timeout: float) -> None:
        raise subprocess.TimeoutExpired("training", timeout)

    calls = iter(range(1, 9))

    def waiting() -> None:
        if next(calls) == call:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer_process.subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        train_in_process(LINES, SETTINGS, waiting)
    assert started[0].returncode == -signal.SIGKILL


def test_a_killed_process_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        trainer_process, "_send", lambda process, *_: os.kill(process.pid, signal.SIGKILL)
    )
    with pytest.raises(UserError, match=r"status -9, .* lower tokenizer.sample_size"):
        train_in_process(LINES, SETTINGS, lambda: None)


def test_the_process_ends_with_the_one_that_waits_for_it() -> None:
    code = "from nmt.text.trainer_process import main; main(parent=0)"  # as if it had ended
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        assert process.wait(timeout=60) == 1
