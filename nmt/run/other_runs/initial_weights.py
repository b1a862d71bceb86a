"""Fine-tuning: the initial weights of a run that starts from another run (``training.init_from``).

The weights are stored in the run folder, so an unfinished run can be resumed without the old run.
"""

import os
from collections.abc import Callable, Mapping

from torch import Tensor

from nmt import processes
from nmt.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from nmt.config.schema import Config
from nmt.model.seq2seq import TranslationModel
from nmt.run.checkpoints.run_checkpoints import explained_state
from nmt.run.folder import RunFolder
from nmt.run.other_runs.fisher_estimate import estimate_fisher
from nmt.run.other_runs.referenced_runs import INITIAL, initial_checkpoint
from nmt.text.tokenizer import TokenizerPair
from nmt.training.fine_tuning.anchor import Anchor
from nmt.training.fine_tuning.warm_start import VocabularyTransfer, refuse_other_model, stiffness


def load_initial_weights(
    config: Config,
    model: TranslationModel,
    tokenizers: TokenizerPair,
    report: Callable[[str], None],
) -> Anchor | None:
    """Fill a model with the weights of ``training.init_from``.

    Args:
        config: The settings of the new run.
        model: The new model, on its device.
        tokenizers: The tokenizers of the new run.
        report: Prints a line about the reused weights.

    Returns:
        The penalty on the distance from these weights; None without ``l2_sp`` and ``ewc``.

    Raises:
        UserError: The old run has a different model, or its training text is needed but missing.
    """
    file = RunFolder.of(config).checkpoints / INITIAL
    if os.path.exists(file):
        initial = load_checkpoint(file)
    else:
        initial = _transfer(config, model, tokenizers, report)
        if processes.is_first() and not config.training.dry_run:
            save_checkpoint(initial, file)
    initial.check_weights()
    model.load_state_dict(dict(initial.weights))
    if initial.training is None:
        return None
    with explained_state(file):
        return Anchor(model, initial.weights, initial.training["stiffness"])


def open_initial(config: Config, *, mapped: bool = False) -> Checkpoint:
    """Load the checkpoint that a run with ``training.init_from`` starts from, and check it.

    Args:
        config: The settings of the new run.
        mapped: Whether the weights are memory-mapped from the file, not copied.

    Raises:
        UserError: There is no such checkpoint, it has a different model, or its weights do not
            match its settings.
    """
    training, old = config.training, load_checkpoint(initial_checkpoint(config), mapped=mapped)
    refuse_other_model(old.config.model, config.model, f"training.init_from={training.init_from}")
    old.check_weights()
    return old


def _transfer(
    config: Config,
    model: TranslationModel,
    tokenizers: TokenizerPair,
    report: Callable[[str], None],
) -> Checkpoint:
    """Return the old run's weights in the new vocabulary, with the stiffness of the penalty."""
    training, old = config.training, open_initial(config)
    transfer = VocabularyTransfer(old.tokenizers, tokenizers)
    fresh = {name: weight.cpu() for name, weight in model.state_dict().items()}
    weights = transfer.transfer(old.weights, fresh)
    report(f"starts from {training.init_from}: {transfer.describe()}{_added(old, fresh)}")
    state, device = None, model.output.weight.device
    if training.l2_sp or training.ewc:
        fisher = estimate_fisher(config, old, device, report) if training.ewc else None
        strength = dict(l2_sp=training.l2_sp, ewc=training.ewc)
        values = stiffness(transfer, model, old.weights.keys(), fisher=fisher, **strength)
        state = {"stiffness": values}
    return Checkpoint(config, tokenizers, weights, state, {}, 0)


def _added(old: Checkpoint, fresh: Mapping[str, Tensor]) -> str:
    """Describe the parameters that the old model lacks."""
    count = sum(value.numel() for name, value in fresh.items() if name not in old.weights)
    return f"; {count:,} parameters of hierarchical attention are new" if count else ""
