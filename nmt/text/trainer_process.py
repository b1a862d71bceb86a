"""Trains SentencePiece in another process, which can be killed at any time.

SentencePiece trains in one call, which takes minutes on a large text and cannot be interrupted.
"""

import io
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

import sentencepiece

from nmt.errors import UserError

_PACK = 1000  # lines sent together
_POLL_SECONDS = 0.2


def train_here(lines: Iterable[str], settings: Mapping[str, Any]) -> bytes:
    """Train SentencePiece in this process and return the model.

    Args:
        lines: The training text.
        settings: The arguments of `sentencepiece.SentencePieceTrainer.train`.

    Raises:
        RuntimeError: SentencePiece failed, e.g. because the vocabulary is too large.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, **settings
    )
    return model.getvalue()


def train_in_process(
    lines: Iterable[str], settings: Mapping[str, Any], waiting: Callable[[], None]
) -> bytes:
    """Train SentencePiece as `train_here` does, in another process.

    Args:
        lines: The training text.
        settings: The arguments of `sentencepiece.SentencePieceTrainer.train`.
        waiting: Called 5 times per second. If it raises, the process is killed, as on Ctrl-C.

    Raises:
        RuntimeError: SentencePiece failed; the error has its message.
        UserError: The process was killed.
    """
    # The process finds the same modules as this one, whose path may have been changed.
    code = (
        f"import sys; sys.path[:] = {list(map(str, sys.path))!r}; "
        f"from nmt.text.trainer_process import main; main({os.getpid()})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in a terminal does not reach the new process
    )
    try:
        waiting()
        _send(process, lines, settings)
        answer = _answer(process, waiting)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
    if not answer:
        raise UserError(
            f"the process that trains the tokenizer ended with status {process.returncode}, often "
            "because memory ran out; lower tokenizer.sample_size and start again"
        )
    result: bytes | RuntimeError = pickle.loads(answer)
    if isinstance(result, RuntimeError):
        raise result
    return result


def _send(
    process: "subprocess.Popen[bytes]", lines: Iterable[str], settings: Mapping[str, Any]
) -> None:
    stream = process.stdin
    assert stream is not None
    process.stdin = None  # so that communicate() does not use it
    with suppress(BrokenPipeError), stream:  # broken if training has failed; the answer says why
        pickle.dump(dict(settings), stream)
        remaining = iter(lines)
        while pack := list(islice(remaining, _PACK)):
            pickle.dump(pack, stream)


def _answer(process: "subprocess.Popen[bytes]", waiting: Callable[[], None]) -> bytes:
    while True:
        try:
            return process.communicate(timeout=_POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            waiting()


def main(parent: int) -> None:
    """Train on the text from standard input; write the model or the error to standard output."""
    threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()
    settings = pickle.load(sys.stdin.buffer)
    result: bytes | RuntimeError
    try:
        result = train_here(_received(sys.stdin.buffer), settings)
    except RuntimeError as error:
        result = RuntimeError(str(error))
    pickle.dump(result, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    os._exit(0)


def _received(stream: BinaryIO) -> Iterator[str]:
    while True:
        try:
            yield from pickle.load(stream)
        except EOFError:
            return


def _exit_after(parent: int) -> None:
    """Exit when the parent process has ended."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)
