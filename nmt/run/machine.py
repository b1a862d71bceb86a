"""The processor and the commit of the program, to document measurements."""

import platform
import subprocess
from pathlib import Path

_INSTRUCTIONS = {  # the name in Linux: the name of the vendor
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx512_bf16": "BF16",
    "amx_bf16": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
}
"""Vector and matrix units on which the speed of training depends."""


def processor() -> str:
    """Return the name of the CPU and its vector units, such as ``Xeon ..., AVX2, AVX-512``."""
    name, flags = _from_linux()
    units = [label for flag, label in _INSTRUCTIONS.items() if flag in flags]
    return ", ".join([name or platform.processor() or platform.machine(), *units])


def _from_linux() -> tuple[str, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # another system
        return "", set()
    lines = (line.partition(":") for line in text.splitlines())
    found: dict[str, str] = {}
    for key, _, value in lines:
        found.setdefault(key.strip(), value.strip())
    return found.get("model name", ""), set(found.get("flags", found.get("Features", "")).split())


def commit() -> str | None:
    """Return the commit of the checkout from which this program runs; None: unknown.

    A final ``+`` marks a checkout in which ``nmt`` or ``configs`` differs from the commit.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    found = _git(root, "rev-parse", "--short=12", "HEAD")
    if found is None:
        return None
    changed = _git(root, "status", "--porcelain", "--", "nmt", "configs")
    return f"{found}+" if changed else found


def _git(root: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):  # without git, or owned by another user
        return None
    return done.stdout.strip()
