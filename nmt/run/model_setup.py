"""The state of a new model before training: frozen parameters, initial weights, a teacher."""

import torch

from nmt import processes
from nmt.config.schema import Config
from nmt.model.seq2seq import TranslationModel
from nmt.model_shapes import model_without_values
from nmt.reporting.console import Console
from nmt.run.feature_check import check_feature_files
from nmt.run.folder import RunFolder
from nmt.run.other_runs.fisher_estimate import fisher_corpus
from nmt.run.other_runs.initial_weights import load_initial_weights, open_initial
from nmt.run.other_runs.load_teacher import load_teacher, open_teacher, refuse_other_pieces
from nmt.run.other_runs.referenced_runs import INITIAL
from nmt.text.tokenizer import TokenizerPair
from nmt.training.fine_tuning.anchor import Anchor
from nmt.training.fine_tuning.freezing import freeze
from nmt.training.objective import AuxiliaryTargets

_ANY_SIZE = 8  # of a vocabulary


def check_models(config: Config) -> None:
    """Check the models that a configuration names, before the corpus is prepared.

    Raises:
        UserError: A run that ``training`` names is missing or has a different model, a part of
            ``training.freeze`` does not exist, or the features do not fit the model.
    """
    if not processes.is_first():
        return
    training = config.training
    check_feature_files(config)
    if training.freeze:  # names and layers do not depend on the vocabulary
        with torch.device("meta"):
            freeze(model_without_values(config.model, _ANY_SIZE, _ANY_SIZE), training.freeze)
    if training.init_from is not None:
        open_initial(config, mapped=True)
    open_teacher(config, mapped=True)


def check_text_of_models(config: Config, tokenizers: TokenizerPair) -> None:
    """Check the pieces of the teacher and the text of the Fisher information.

    The run folder is created after this check, so no folder remains if the models do not fit.

    Raises:
        UserError: The pieces differ, or the text cannot be read.
    """
    if not processes.is_first():
        return
    training, teacher = config.training, open_teacher(config, mapped=True)
    if teacher is not None:
        refuse_other_pieces(config, teacher, tokenizers)
    begun = (RunFolder.of(config).checkpoints / INITIAL).exists()
    if training.init_from is not None and training.ewc and not begun:
        fisher_corpus(config, open_initial(config, mapped=True))


def set_up_model(
    config: Config,
    model: TranslationModel,
    tokenizers: TokenizerPair,
    console: Console,
) -> AuxiliaryTargets:
    """Freeze and initialize a model as the ``training`` settings require, and load its teacher.

    Args:
        config: The settings of the new run.
        model: The new model, on its device; its weights are replaced.
        tokenizers: The tokenizers of the new run.
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
