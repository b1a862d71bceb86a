"""The teacher of a run with distillation (``training.distillation.teacher``)."""

from collections.abc import Callable

import torch

from nmt.checkpoint import Checkpoint, load_checkpoint
from nmt.config.model import copies
from nmt.config.numbering import attention_layers, counted, exists, number_range
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.run.checkpoints.same_text import differing_tokenizer
from nmt.run.other_runs.referenced_runs import referenced_checkpoint
from nmt.text.tokenizer import TokenizerPair
from nmt.training.distillation import Teacher

_KEY = "training.distillation.teacher"


def load_teacher(
    config: Config, tokenizers: TokenizerPair, device: torch.device, report: Callable[[str], None]
) -> Teacher | None:
    """Return the teacher of ``training.distillation`` on a device; None: no teacher is needed.

    If all losses of a teacher have weight 0, only its tokenizers are used, and the result is None.

    Args:
        config: The settings of the student's run.
        tokenizers: The tokenizers of the student.
        device: The device of the teacher.
        report: Prints a line that names the teacher.

    Raises:
        UserError: There is no such model, its pieces differ, or `open_teacher` refuses it.
    """
    checkpoint = open_teacher(config)
    if checkpoint is None:
        return None
    refuse_other_pieces(config, checkpoint, tokenizers)
    settings = config.training.distillation
    if not settings.weight and not settings.attention_weight:
        report(f"has the pieces of {settings.teacher}")
        return None
    teacher = Teacher(checkpoint.build_model().to(device), settings)
    parameters = sum(parameter.numel() for parameter in teacher.model.parameters())
    report(f"learns from {settings.teacher}, {parameters:,} parameters")
    return teacher


def open_teacher(config: Config, *, mapped: bool = False) -> Checkpoint | None:
    """Load the checkpoint of the teacher and check it; return None if no teacher is set.

    Args:
        config: The settings of the student's run.
        mapped: Whether the weights are memory-mapped from the file, not copied.

    Raises:
        UserError: There is no such model, its weights do not match its settings, it has no
            attention to compare, or it copies source pieces.
    """
    settings = config.training.distillation
    if settings.teacher is None:
        return None
    checkpoint = load_checkpoint(referenced_checkpoint(settings.teacher, _KEY), mapped=mapped)
    layers, _ = attention_layers(checkpoint.config.model.decoder)
    layer = settings.attention_layer
    if settings.attention_weight and not exists(layer, layers):
        remedy = f"{number_range(layers)}; or set" if layers else "set"
        raise UserError(
            f"{_KEY}={settings.teacher} has attention in {counted(layers, 'layer')}, and "
            f"training.distillation.attention_layer is {layer}: {remedy} "
            "training.distillation.attention_weight=0"
        )
    if settings.weight and copies(checkpoint.config.model.decoder):
        raise UserError(
            f"{_KEY}={settings.teacher} copies pieces of the source (model.decoder.copy=pointer), "
            "so a student cannot learn from its distributions, which lack the copies: set "
            "training.distillation.weight=0, or let the teacher translate the training text"
        )
    checkpoint.check_weights()
    return checkpoint


def refuse_other_pieces(config: Config, teacher: Checkpoint, tokenizers: TokenizerPair) -> None:
    """Refuse a teacher with different pieces.

    Raises:
        UserError: The pieces of a side differ.
    """
    side = differing_tokenizer(teacher.tokenizers, tokenizers)
    if side is not None:
        raise UserError(
            f"{_KEY}={config.training.distillation.teacher} has different {side} pieces from this "
            "run, so their distributions cannot be compared: use a teacher with the same "
            "tokenizers, or let it translate the training text"
        )
