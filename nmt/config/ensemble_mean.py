"""The names of the means over the models of an ensemble; this file does not import torch."""

from enum import StrEnum


class Mean(StrEnum):
    """How the distributions of the models are averaged."""

    LOG_PROBS = "log_probs"
    """p is proportional to the geometric mean of the models' probabilities."""
    PROBS = "probs"
    """p is the arithmetic mean of the models' probabilities."""
