"""Trains, evaluates and inspects sequence-to-sequence models for machine translation.

Importing the package is cheap: torch and Hydra are loaded only by the commands that need them, and
by the first use of a name of `nmt.api`, e.g. ``nmt.load``.
"""

from typing import Any

__version__ = "0.1.0"

_LATE = {
    **dict.fromkeys(
        ("Attention", "Candidate", "Model", "ScoredTranslation", "Translation", "load", "train"),
        "nmt.api",
    ),
    "Constraints": "nmt.decoding.constrained.constraints",
    "Sampling": "nmt.decoding.sampling",
    "UserError": "nmt.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
