"""Process-wide state of a run: random generators, device, precision, threads, allocator."""

import ctypes
import math
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import torch
from torch import Tensor

from nmt import processes
from nmt.errors import UserError

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

MOST_THREADS = 1024
"""The greatest number of CPU threads."""

PRODUCTS_PER_THREAD = 50_000_000
"""A step of search uses one CPU thread per this number of multiplications."""

_PROBE_SIZE, _PROBE_ROUNDS, _PROBE_SECONDS = 384, 8, 0.1
_MINIMUM_SPEEDUP = 1.2  # of bfloat16; a smaller speedup does not justify the lower precision


def seed_everything(seed: int) -> None:
    """Seed Python's and torch's generators on every device."""
    random.seed(seed)
    torch.manual_seed(seed)


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the states of torch's generators: that of the CPU and that of the device."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["device"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Restore the states that `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "device" in state:
        torch.cuda.set_rng_state(state["device"], device)


def pick_device(name: str) -> torch.device:
    """Return the named device, or for ``auto`` the best one available.

    Choosing a CUDA device turns off cuDNN's attention in this process. On recent devices, torch
    prefers cuDNN's attention, which builds a plan for every new shape; this takes 0.1 s or more.

    Raises:
        UserError: The device does not exist on this machine.
    """
    device = _find_device(name)
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)
    return device


def _find_device(name: str) -> torch.device:
    if processes.world() > 1:
        return _own_device(name)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # fails on the device "meta", which stores no data
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"device {name!r} cannot be used: {reason}; try cpu or auto") from error
    return device


def _own_device(name: str) -> torch.device:
    """Return the device of one of several training processes: the CPU, or a separate GPU.

    Raises:
        UserError: This machine has fewer GPUs than processes, or the name is another device.
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if name not in ("auto", "cuda"):
        raise UserError(
            f"training.device={name} is one device, but {processes.world()} processes train "
            "together: choose auto, cuda or cpu"
        )
    number, count = processes.local_rank(), torch.cuda.device_count()
    if number >= count:
        raise UserError(
            f"there are more processes on this machine than GPUs ({count}): start torchrun with "
            f"--nproc-per-node {count or 'N'}, or set training.device=cpu"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype of products; ``auto`` is bfloat16 if the device computes faster in it.

    A CUDA device is faster from compute capability 8.0 on; a CPU is measured; MPS uses float32.
    Processes that train together use bfloat16 only if all of their devices do.

    Raises:
        UserError: float16, whose gradients have to be scaled, on a device other than CUDA.
    """
    if name == "float16" and device.type != "cuda":
        raise UserError(
            f"training.precision=float16 is for CUDA devices, and this run is on {device.type}: "
            "choose auto, bfloat16 or float32"
        )
    if name != "auto":
        return PRECISIONS[name]
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = device.type == "cpu" and _cpu_gains_by_bfloat16()
    return torch.float32 if processes.any(not native) else torch.bfloat16


def pick_search_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype of a trained model's products; ``auto`` is float32 except on CUDA.

    With ``int8``, the large linear layers are quantized, and the other products are in float32.

    Raises:
        UserError: The name is unknown, or it is float16 on a device other than CUDA, or int8 on one
            other than a CPU.
    """
    if name not in (*PRECISIONS, "auto", "int8"):
        known = ", ".join(("auto", *PRECISIONS, "int8"))
        raise UserError(f"precision {name!r} is unknown: choose one of {known}")
    if name == "int8":
        if device.type != "cpu":
            raise UserError(
                f"precision int8 is for CPUs, and this device is {device.type}: choose auto, "
                "bfloat16 or float32"
            )
        return torch.int8
    if device.type != "cuda":
        if name == "float16":
            raise UserError(
                f"precision float16 is for CUDA devices, and this one is {device.type}: choose "
                "auto, bfloat16 or float32"
            )
        return PRECISIONS.get(name, torch.float32)
    return pick_precision(name, device)


@cache
def _cpu_gains_by_bfloat16() -> bool:
    """Return whether matrix products are faster in bfloat16.

    CPU time is measured, because other processes affect it less than they affect elapsed time.
    """
    began, best = time.process_time(), dict.fromkeys((torch.float32, torch.bfloat16), math.inf)
    factors = {precision: torch.ones(_PROBE_SIZE, _PROBE_SIZE).to(precision) for precision in best}
    for _ in range(_PROBE_ROUNDS):
        for precision, factor in factors.items():
            started = time.process_time()
            torch.mm(factor, factor)
            best[precision] = min(best[precision], time.process_time() - started)
        if time.process_time() - began > _PROBE_SECONDS:
            break
    return best[torch.float32] > _MINIMUM_SPEEDUP * best[torch.bfloat16]


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Return a context in which products run in ``precision``; weights stay in float32.

    Int8 needs no context, because the quantized layers are modules of the model.
    """
    if precision in (torch.float32, torch.int8):
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)


def set_cuda_numerics(*, tf32: bool, deterministic: bool) -> None:
    """Choose how CUDA rounds float32 products, and whether its results are reproducible.

    Call this before anything runs on the device, because cuBLAS reads its workspace setting once.
    """
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    if deterministic != torch.are_deterministic_algorithms_enabled():  # to set it loads a compiler
        torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def set_exact_recurrence() -> None:
    """Let cuDNN's recurrent layers compute float32 products in float32; torch's default is TF32."""
    torch.backends.cudnn.allow_tf32 = False


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks: an update or a step of search soon allocates them again.

    By default, glibc returns each block to the kernel, and a new block causes a page fault for each
    page. The setting affects the whole process. So only the commands and `nmt.train` call this
    function, not `nmt.load`. On systems other than Linux with glibc, it has no effect.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # from malloc.h
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 256 * 2**20)


def set_threads(threads: int | None) -> None:
    """Set the number of CPU threads; None keeps torch's default.

    Raises:
        UserError: The number is out of range.
    """
    if threads is None:
        return
    if not 1 <= threads <= MOST_THREADS:
        raise UserError(f"threads is {threads}; it must be from 1 to {MOST_THREADS:,}")
    torch.set_num_threads(threads)


def threads() -> int:
    """Return the number of CPU threads."""
    return torch.get_num_threads()


@contextmanager
def threads_for(products: int) -> Iterator[None]:
    """Compute a repeated step with fewer CPU threads, if it is too small for all of them.

    At each operation, the threads wait for one another. So two threads make a small step only a
    little faster, and much slower if another program uses a core. With one thread, a sentence took
    1.1 times as long as with two on a free machine, and 0.3 times as long with a program on each
    core.

    Args:
        products: Multiplications of a step.
    """
    before = torch.get_num_threads()
    fewer = min(before, -(-products // PRODUCTS_PER_THREAD))
    if fewer == before:
        yield
        return
    torch.set_num_threads(fewer)  # only for calls from this thread
    try:
        yield
    finally:
        torch.set_num_threads(before)
