"""All process-wide state of a run: random generators, device, precision, threads, allocator."""

import ctypes
import random
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from nmt.errors import UserError


def seed_everything(seed: int) -> None:
    """Seed Python's and torch's generators on every device."""
    random.seed(seed)
    torch.manual_seed(seed)


def pick_device(name: str) -> torch.device:
    """Return the device named, or for ``auto`` the best there is.

    Raises:
        UserError: The device does not exist here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # also tells the device "meta", which holds no numbers
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"device {name!r} cannot be used: {reason}; try cpu or auto") from error
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type of products: for ``auto``, bfloat16 where the hardware multiplies in it."""
    if name == "float32":
        return torch.float32
    if name == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = device.type == "cpu" and _cpu_multiplies_bfloat16()
    return torch.bfloat16 if native else torch.float32


def _cpu_multiplies_bfloat16() -> bool:
    """Whether the processor has AVX-512-BF16 or AMX, as torch or, failing that, Linux tells."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    if probe is not None:
        return bool(probe())
    try:
        with open("/proc/cpuinfo") as info:
            flags = info.read()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """Return a context in which products run in ``precision``; weights stay float32."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks, which training asks for again at the next update.

    By default each one goes back to the kernel and is faulted in anew, page by page. Elsewhere than
    on Linux with glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h: M_TRIM_THRESHOLD and its kin
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 256 * 2**20)


def set_threads(threads: int | None) -> None:
    """Use this many CPU threads; None leaves torch's choice."""
    if threads is not None:
        torch.set_num_threads(threads)
