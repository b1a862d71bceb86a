"""How the models of an ensemble are averaged; no torch is loaded for the name of a choice."""

from enum import StrEnum


class Mean(StrEnum):
    """How the distributions of the models become one."""

    LOG_PROBS = "log_probs"
    """p is proportional to the geometric mean of the models' probabilities."""
    PROBS = "probs"
    """p is the arithmetic mean of the models' probabilities."""
