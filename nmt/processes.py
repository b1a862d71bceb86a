"""Communication between the processes of one training, which torchrun starts.

In a single process, no function communicates. Messages are sent between CPUs (gloo), even if
gradients are sent between GPUs (NCCL).
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

_TIMEOUT = timedelta(minutes=10)
"""How long a process waits for one that still runs; the end of a process is noticed at once."""
_PREPARATION_TIMEOUT = timedelta(days=2)
_EXIT_DELAY = 2.0  # seconds from the end of a process until its process id is unknown

Item = TypeVar("Item")
Result = TypeVar("Result")

_stores: list[PrefixStore] = []  # one element after this process has joined


def join() -> None:
    """Join the other processes that torchrun started; do nothing in a single process, or twice.

    Raises:
        UserError: The environment is incomplete, or the others cannot be reached.
    """
    if dist.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return
    try:
        number, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    except (KeyError, ValueError) as error:
        raise UserError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {error} is missing from the "
            "environment: start several processes with torchrun -m nmt train, or unset WORLD_SIZE"
        ) from error
    hosts = number == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        server = TCPStore(host, port, count, hosts, _TIMEOUT)
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        store = PrefixStore(f"nmt/{attempt}", server)
        store.set(f"process/{number}", f"{os.getpid()} {socket.gethostname()}")
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=store,
            rank=number,
            world_size=count,
            timeout=_TIMEOUT,
        )
    except (RuntimeError, OSError) as error:  # DistError is a RuntimeError
        raise UserError(
            f"process {number} of {count} cannot reach the others at {host}:{port}: {error}"
        ) from error
    _stores[:] = [store]


def rank() -> int:
    """Return the rank of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_rank() -> int:
    """Return the rank of this process on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", rank())) if dist.is_initialized() else 0


def is_first() -> bool:
    """Return whether this is the process that writes files and prints."""
    return rank() == 0


def any(flag: bool) -> bool:
    """Return whether the flag is True in any process; all processes have to call this."""
    return largest(float(flag)) > 0


def largest(value: float) -> float:
    """Return the largest value of all processes."""
    if world() == 1:
        return value
    numbers = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(numbers, dist.ReduceOp.MAX)
    return numbers.item()


def total(values: Sequence[float]) -> list[float]:
    """Return the elementwise sum of the values of all processes."""
    if world() == 1:
        return list(values)
    numbers = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(numbers)
    return numbers.tolist()


def gather(part: Result) -> list[Result]:
    """Return the values of all processes, in the order of their ranks."""
    if world() == 1:
        return [part]
    parts: list[Any] = [None] * world()
    dist.all_gather_object(parts, part)
    return parts


def share_out(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Result]]
) -> list[Result]:
    """Distribute work over the processes and return all results in every process.

    Args:
        items: The same items in each process. A process works on every ``world``-th item.
        work: Returns one result per item, in order.
    """
    parts = gather(list(work(items[rank() :: world()])))
    missing = object()
    rounds = chain.from_iterable(zip_longest(*parts, fillvalue=missing))
    return [result for result in rounds if result is not missing]  # type: ignore[misc]


def barrier() -> None:
    """Wait until all processes have called this."""
    any(False)


def check_same(value: Result, what: str) -> None:
    """Check that a value read from disk is the same in every process.

    Raises:
        UserError: The values differ.
    """
    values = gather(value)
    if values.count(value) != len(values):
        raise UserError(
            f"the processes of this training see different {what} ("
            f"{', '.join(str(v) for v in values)}): put run.dir on a disk that all of them share"
        )


def first_here(work: Callable[[], None]) -> None:
    """Do long work in one process per machine; the others do it afterwards, and find its files."""
    if world() == 1:
        work()
        return
    group = dist.new_group(backend="gloo", timeout=_PREPARATION_TIMEOUT)
    if local_rank() == 0:
        work()
    dist.barrier(group)
    if local_rank() != 0:
        work()
    barrier()


def first_to_fail() -> bool:
    """Return whether no other process has reported an error yet, so that only one is printed."""
    if not _stores:
        return True
    try:
        _stores[0].set(f"reported/{rank()}", "")
        return _stores[0].add("failed", 1) == 1
    except RuntimeError:  # torchrun itself has ended
        return True


def lost_processes() -> str:
    """Describe the processes of this machine that ended without reporting an error.

    Returns:
        Text such as ``process 1 (4711 on node7)``; empty if this machine has none.
    """
    until = time.monotonic() + _EXIT_DELAY
    try:
        while _stores and time.monotonic() < until:
            lost = [text for text in map(_describe_if_lost, range(world())) if text]
            if lost:
                return " and ".join(lost)
            time.sleep(0.05)
    except RuntimeError:  # torchrun itself has ended
        pass
    return ""


def _describe_if_lost(number: int) -> str:
    """Describe a process of this machine, if it ended without a report; otherwise return ``""``."""
    process, host = _stores[0].get(f"process/{number}").decode().split(" ", 1)
    if (
        host != socket.gethostname()
        or _is_alive(int(process))
        or _stores[0].check([f"reported/{number}"])
    ):
        return ""
    return f"process {number} ({process} on {host})"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except ProcessLookupError:
        return False
    except OSError:  # another user's process, or a system without /proc
        return True
    return state.rsplit(")", 1)[-1].split()[:1] != ["Z"]  # a zombie: ended, but not yet reaped


def is_loss_of_another(error: BaseException) -> bool:
    """Return whether an error means that another process has ended or does not respond."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("gloo" in text or "nccl" in text)
