"""The teacher of a run with distillation (``training.distillation.teacher``)."""

from collections.abc import Callable

import torch

from nmt.checkpoint import load_checkpoint
from nmt.config.numbering import attention_layers, counted, exists, number_range
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.run.referenced_runs import referenced_checkpoint
from nmt.run.same_text import differing_tokenizer
from nmt.text.tokenizer import TokenizerPair
from nmt.training.distillation import Teacher


def load_teacher(
    config: Config, tokenizers: TokenizerPair, device: torch.device, report: Callable[[str], None]
) -> Teacher | None:
    """Return the teacher of ``training.distillation`` on a device; None where there is none.

    Args:
        config: Of the student's run.
        tokenizers: Of the student.
        device: Where the teacher is put.
        report: Prints which model teaches.

    Raises:
        UserError: There is no such model, its pieces differ, or it has no attention to compare.
    """
    settings = config.training.distillation
    if settings.teacher is None:
        return None
    key = "training.distillation.teacher"
    checkpoint = load_checkpoint(referenced_checkpoint(settings.teacher, key))
    whose = f"{key}={settings.teacher}"
    side = differing_tokenizer(checkpoint.tokenizers, tokenizers)
    if side is not None:
        raise UserError(
            f"{whose} has different {side} pieces from this run, so their distributions cannot be "
            "compared: use a teacher with the same tokenizers, or let it translate the training "
            "text"
        )
    layers, _ = attention_layers(checkpoint.config.model.decoder)
    layer = settings.attention_layer
    if settings.attention_weight and not exists(layer, layers):
        remedy = f"{number_range(layers)}; or set" if layers else "set"
        raise UserError(
            f"{whose} has attention in {counted(layers, 'layer')}, and "
            f"training.distillation.attention_layer is {layer}: {remedy} "
            "training.distillation.attention_weight=0"
        )
    teacher = Teacher(checkpoint.build_model().to(device), settings)
    parameters = sum(parameter.numel() for parameter in teacher.model.parameters())
    report(f"learns from {settings.teacher}, {parameters:,} parameters")
    return teacher
