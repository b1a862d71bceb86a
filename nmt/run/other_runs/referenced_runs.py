"""Checkpoints of other runs that a configuration refers to: initial weights and teachers."""

import os
from pathlib import Path

from nmt.checkpoint import find_checkpoint
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.run.folder import RunFolder
from nmt.user_path import user_path

INITIAL = "initial.pt"
"""The file of a run's initial weights in ``checkpoints``; a resumed run needs no other run."""


def initial_checkpoint(config: Config) -> Path:
    """Return the file of the initial weights: the run's copy, else that of ``training.init_from``.

    Raises:
        UserError: There is no such checkpoint.
    """
    kept = RunFolder.of(config).checkpoints / INITIAL
    if os.path.exists(kept):
        return kept
    return referenced_checkpoint(str(config.training.init_from), "training.init_from")


def referenced_checkpoint(run: str, key: str) -> Path:
    """Return the checkpoint file that a setting names, directly or by its run folder.

    Args:
        run: The value of the setting.
        key: The key of the setting, for the message.

    Raises:
        UserError: There is no such checkpoint.
    """
    try:
        return find_checkpoint(user_path(run))
    except UserError as error:
        raise UserError(
            f"{key}: {error}; restore it, or give a run folder or a checkpoint file"
        ) from error
