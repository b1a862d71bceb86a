"""A worker: a process that loads an engine and answers calls of its parent process.

Two pipes transfer pickled calls and answers, each after its length. A worker ends when its input
ends, so no worker remains if the parent process is killed.
"""

import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.config.schema import Config, DecodingConfig
    from nmt.decoding.engine import Engine, Loaded
    from nmt.decoding.translator import Translation

_LENGTH = struct.Struct(">Q")
_START = "from nmt.decoding.worker_process import serve; serve()"
_PATIENCE = 5.0  # seconds to wait for the exit status of a process that closed its pipe


@dataclass(frozen=True)
class Ready:
    """A description of the engine that a worker has loaded.

    Attributes:
        configs: The settings of each model.
        decoding: Settings of the search.
        attends: Whether hypotheses can have attention weights.
        tokenizers: The SentencePiece models of source and target.
    """

    configs: "Sequence[Config]"
    decoding: "DecodingConfig"
    attends: bool
    tokenizers: tuple[bytes, bytes]


@dataclass(frozen=True)
class _Failure:
    """The reason why a call failed; ``by_user``: the error was a `UserError`."""

    message: str
    by_user: bool


class WorkerProcess:
    """The parent's handle of a worker.

    Attributes:
        name: The device of the worker, for messages.
    """

    def __init__(self, name: str, load: "Callable[[], Loaded]") -> None:
        """Start the process, which loads its engine; `ready` waits for it."""
        self.name = name
        paths = [os.path.abspath(path) for path in sys.path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches only the parent, which ends the workers
        )
        self._send(load)

    def ready(self) -> Ready:
        """Wait until the engine is loaded.

        Raises:
            UserError: The engine cannot be loaded, or the process has ended.
        """
        found = self._receive()
        assert isinstance(found, Ready)
        return found

    def call(self, method: str, beam_size: int, **arguments: Any) -> Any:
        """Call a method of the engine, with this beam size, and return its result.

        Raises:
            UserError: The call failed, or the process has ended.
        """
        self._send((method, beam_size, arguments))
        return self._receive()

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # unsent data cannot be flushed
                pipe.close()

    def _send(self, value: object) -> None:
        assert self._process.stdin is not None
        try:
            _write(self._process.stdin, value)
        except (BrokenPipeError, ValueError):
            raise self._ended() from None

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        try:
            value = _read(self._process.stdout)
        except EOFError:
            raise self._ended() from None
        if not isinstance(value, _Failure):
            return value
        if value.by_user:
            raise UserError(value.message)
        raise UserError(f"the process of --devices {self.name} failed: {value.message}")

    def _ended(self) -> UserError:
        """Return the error of a process that has ended without an answer."""
        try:
            status = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            status = 0
        how = f"ended with status {status}"
        if status < 0:
            how = f"was ended by {signal.Signals(-status).name}"
        return UserError(
            f"the process of --devices {self.name} {how}, so the command ends; if it ran out of "
            "memory, give fewer devices or a smaller --batch-size"
        )


def serve() -> None:
    """Load the engine with the function in standard input; answer calls until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(0), "rb") as calls, os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # the output of libraries must not mix with the answers
        try:
            _answer_all(calls, answers)
        except (EOFError, BrokenPipeError):
            pass
        finally:
            os._exit(0)


def _answer_all(calls: IO[bytes], answers: IO[bytes]) -> None:
    from nmt import loading_phase
    from nmt.torch_import import defer_shape_functions

    loading_phase.begin()
    defer_shape_functions()
    engines: dict[int, Engine] = {}

    def load() -> Ready:
        configs, engine = _read(calls)()
        engines[engine.decoding.beam_size] = engine
        pair = engine.tokenizers.source.to_bytes(), engine.tokenizers.target.to_bytes()
        return Ready(configs, engine.decoding, engine.attends, pair)

    def answer() -> Any:
        method, beam_size, arguments = _read(calls)
        if beam_size not in engines:
            engines[beam_size] = next(iter(engines.values())).with_beam(beam_size)
        result = getattr(engines[beam_size], method)(**arguments)
        return [_portable(one) for one in result] if method == "translate" else result

    _write(answers, _result(load))
    loading_phase.end()
    while True:
        _write(answers, _result(answer))


def _result(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (EOFError, BrokenPipeError):
        raise
    except UserError as error:
        return _Failure(str(error), by_user=True)
    except Exception as error:  # any type: the command must report it, not wait
        lines = str(error).strip().split("\n")
        return _Failure(f"{type(error).__name__}: {lines[0]}", by_user=False)


def _portable(translation: "Translation") -> "Translation":
    """Return a translation whose weights are on the CPU."""
    hypotheses = [
        one if one.weights is None else replace(one, weights=one.weights.cpu().clone())
        for one in translation.hypotheses
    ]
    return replace(translation, hypotheses=hypotheses)


def _write(pipe: IO[bytes], value: object) -> None:
    content = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _read(pipe: IO[bytes]) -> Any:
    """Return the next value.

    Raises:
        EOFError: The other process has closed the pipe.
    """
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    size = _LENGTH.unpack(head)[0]
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return pickle.loads(content)
