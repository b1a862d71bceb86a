"""The batch size of a run that leaves it open."""

from collections.abc import Callable

import torch

from nmt.config.schema import Config
from nmt.data.encoded import EncodedCorpus
from nmt.training.rehearsal import find_batch_tokens
from nmt.training.trainer import Trainer


def set_batch_tokens(
    trainer: Trainer,
    train: EncodedCorpus,
    config: Config,
    device: torch.device,
    report: Callable[[str], None],
) -> None:
    """Find the batch size where ``training.batch_tokens`` leaves it open, once for a whole run.

    Args:
        trainer: Gets the size; a resumed one keeps its own.
        train: The training pairs.
        config: Of the run.
        device: Where the model is trained.
        report: Prints one line.
    """
    if config.training.batch_tokens:
        return
    found = trainer.progress.batch_tokens or find_batch_tokens(
        trainer.updater.attempt, train, config, device, trainer.shapes
    )
    trainer.set_batch_tokens(found)
    report(f"training.batch_tokens=auto: {found:,} target tokens per update")
