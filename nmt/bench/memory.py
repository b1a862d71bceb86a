"""The most memory that was held since a moment, not since the process began."""

import resource
import sys
from pathlib import Path

import torch

_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak(device: torch.device) -> None:
    """Count the peak anew from what is held now, where that can be done."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _REFERENCES.write_text("5", encoding="ascii")  # proc(5): forget the greatest resident size
    except OSError:
        return  # no Linux, or a container that forbids it: the peak is then the process's


def peak(device: torch.device) -> int:
    """Return the most bytes held: on a CUDA device by tensors, else by the process, all counted."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    found = _status("VmHWM")
    if found is not None:
        return found
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def held(device: torch.device) -> int | None:
    """Return the bytes held now, counted likewise; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _status("VmRSS")


def _status(name: str) -> int | None:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return None
