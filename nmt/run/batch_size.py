"""The batch size of a run with ``training.batch_tokens=auto``."""

from collections.abc import Callable

import torch

from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.training.optimizer import state_bytes
from nmt.training.passes.largest_passes import largest_passes
from nmt.training.passes.rehearsal import find_batch_tokens
from nmt.training.trainer import Trainer


def set_batch_tokens(
    trainer: Trainer,
    train: EncodedCorpus,
    config: Config,
    device: torch.device,
    report: Callable[[str], None],
) -> None:
    """Set the batch size of a trainer if ``training.batch_tokens`` is ``auto``.

    The size is measured once for a whole run, with the largest passes that the run could make.

    Args:
        trainer: The trainer. If its run is resumed, it keeps the size in its progress.
        train: The training pairs.
        config: The settings of the run.
        device: The device of the training.
        report: Prints one line.
    """
    if config.training.batch_tokens:
        return
    updater = trainer.updater
    found = trainer.progress.batch_tokens
    if not found:
        with largest_passes(trainer.model):
            found = find_batch_tokens(
                updater.attempt,
                train,
                config,
                device,
                trainer.shapes,
                reserved=state_bytes(updater.optimizer),
            )
    trainer.set_batch_tokens(found)
    report(f"training.batch_tokens=auto: {found:,} target tokens per update")
