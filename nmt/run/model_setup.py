"""The state of a new model before training: frozen parameters, initial weights, a teacher."""

from nmt import processes
from nmt.config.schema import Config
from nmt.model.seq2seq import TranslationModel
from nmt.reporting.console import Console
from nmt.run.initial_weights import load_initial_weights
from nmt.run.load_teacher import load_teacher
from nmt.text.tokenizer import TokenizerPair
from nmt.training.anchor import Anchor
from nmt.training.freezing import freeze
from nmt.training.objective import AuxiliaryTargets


def set_up_model(
    config: Config,
    model: TranslationModel,
    tokenizers: TokenizerPair,
    console: Console,
) -> AuxiliaryTargets:
    """Freeze and initialize a model as the ``training`` settings require, and load its teacher.

    Args:
        config: Of the new run.
        model: Newly built, on its device; its weights are filled in.
        tokenizers: Of the new run.
        console: Prints what is frozen and reused, and shows what is loaded.

    Raises:
        UserError: A run that the settings name is missing or does not match.
    """
    training = config.training
    anchor: Anchor | None = None
    if training.freeze:
        frozen = freeze(model, training.freeze)
        total = sum(p.numel() for p in model.parameters())
        console(f"frozen: {frozen:,} of {total:,} parameters")

    def initialize() -> None:
        nonlocal anchor
        console.show("loading", training.init_from)
        anchor = load_initial_weights(config, model, tokenizers, console)

    if training.init_from is not None:
        processes.first_here(initialize)
    if training.distillation.teacher is not None:
        console.show("loading", training.distillation.teacher)
    teacher = load_teacher(config, tokenizers, model.output.weight.device, console)
    return AuxiliaryTargets(teacher, anchor)
