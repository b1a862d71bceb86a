"""The processes of one training, as torchrun starts them; in a process alone, trivial.

What they tell each other goes from CPU to CPU (gloo), whatever carries the gradients.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed as dist
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from nmt.errors import UserError

_SILENCE = timedelta(minutes=10)
"""How long one process may wait for another that lives; the death of one is noticed at once."""
_PREPARATION = timedelta(days=2)
_NOTICE = 2.0  # seconds from the end of a process until its number can be asked for in vain

Item = TypeVar("Item")
Result = TypeVar("Result")

_stores: list[PrefixStore] = []  # the one of this process, once it has joined


def join() -> None:
    """Meet the other processes that torchrun started; alone, or a second time, do nothing.

    Raises:
        UserError: They could not be reached.
    """
    if dist.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return
    try:
        number, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except (KeyError, ValueError) as error:
        raise UserError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {error} is missing from the "
            "environment: start several processes by torchrun -m nmt train, or unset WORLD_SIZE"
        ) from error
    hosts = number == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        server = TCPStore(host, port, count, hosts, _SILENCE)
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = PrefixStore(f"nmt/{attempt}", server)
        store.set(f"process/{number}", f"{os.getpid()} {socket.gethostname()}")
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=store,
            rank=number,
            world_size=count,
            timeout=_SILENCE,
        )
    except (RuntimeError, OSError) as error:  # DistError is a RuntimeError
        raise UserError(
            f"process {number} of {count} cannot reach the others at {host}:{port}: {error}"
        ) from error
    _stores[:] = [store]


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_rank() -> int:
    """Return the number of this process on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", rank())) if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


def any(flag: bool) -> bool:
    """Return whether the flag is up in any process; all of them have to ask."""
    return largest(float(flag)) > 0


def largest(value: float) -> float:
    """Return the largest of all processes' values."""
    if world() == 1:
        return value
    numbers = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(numbers, dist.ReduceOp.MAX)
    return numbers.item()


def total(values: Sequence[float]) -> list[float]:
    """Return the sum of all processes' values, place by place."""
    if world() == 1:
        return list(values)
    numbers = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(numbers)
    return numbers.tolist()


def gather(part: Result) -> list[Result]:
    """Return every process's part, in order."""
    if world() == 1:
        return [part]
    parts: list[Any] = [None] * world()
    dist.all_gather_object(parts, part)
    return parts


def share_out(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Result]]
) -> list[Result]:
    """Work on items together: each process takes every ``world``-th, and all get all results.

    Args:
        items: The same in every process.
        work: Returns a result for each item it is given, in order.
    """
    parts = gather(list(work(items[rank() :: world()])))
    missing = object()
    rounds = chain.from_iterable(zip_longest(*parts, fillvalue=missing))
    return [result for result in rounds if result is not missing]  # type: ignore[misc]


def barrier() -> None:
    """Wait until all processes are here."""
    any(False)


def check_same(value: Result, what: str) -> None:
    """Check that a value read from disk is the same in every process.

    Raises:
        UserError: It is not.
    """
    values = gather(value)
    if values.count(value) != len(values):
        raise UserError(
            f"the processes of this training see different {what} ("
            f"{', '.join(str(v) for v in values)}): put run.dir on a disk that all of them share"
        )


def first_here(work: Callable[[], None]) -> None:
    """Do a long work in one process of each machine, then, as it left something, in the others."""
    if world() == 1:
        work()
        return
    patient = dist.new_group(backend="gloo", timeout=_PREPARATION)
    if local_rank() == 0:
        work()
    dist.barrier(patient)
    if local_rank() != 0:
        work()
    barrier()


def first_to_fail() -> bool:
    """Whether no other process has said yet what went wrong, so that it is said once."""
    if not _stores:
        return True
    try:
        _stores[0].set(f"told/{rank()}", "")
        return _stores[0].add("failed", 1) == 1
    except RuntimeError:  # torchrun itself has gone
        return True


def lost() -> str:
    """Name the processes of this machine that have ended without a word, as the others find out.

    Returns:
        Such as ``process 1 (4711 on node7)``; empty where they are on another machine.
    """
    until = time.monotonic() + _NOTICE
    try:
        while _stores and time.monotonic() < until:
            gone = [text for text in map(_if_gone, range(world())) if text]
            if gone:
                return " and ".join(gone)
            time.sleep(0.05)
    except RuntimeError:  # torchrun itself has gone
        pass
    return ""


def _if_gone(number: int) -> str:
    """Describe a process that ended without a word on this machine; empty: it is not so."""
    process, host = _stores[0].get(f"process/{number}").decode().split(" ", 1)
    if host != socket.gethostname() or _lives(int(process)) or _stores[0].check([f"told/{number}"]):
        return ""
    return f"process {number} ({process} on {host})"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return False
    except OSError:  # another's, or a system without /proc
        return True
    return state.rsplit(")", 1)[-1].split()[:1] != ["Z"]  # ended, and not yet asked about


def is_loss_of_another(error: BaseException) -> bool:
    """Whether an error is what a process sees when another one has died or is silent."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("gloo" in text or "nccl" in text)
