"""The setting ``training.kernels``, without torch, so that the settings can import it."""

from enum import StrEnum


class Kernels(StrEnum):
    """Which paths of `nmt.kernels.dispatch` may run."""

    AUTO = "auto"  # the fastest path for the given tensors
    PLAIN = "plain"  # always the plain path
