"""Trains, evaluates and inspects sequence-to-sequence models for machine translation.

Importing the package is cheap: torch and Hydra are loaded only by the commands that need them.
"""

__version__ = "0.1.0"
