"""Finds the setting that prevents packed batches: all pairs of a pass in one row."""

from nmt.config.document_context import DECODER_SETTING, SETTING, is_hierarchical
from nmt.config.model import (
    Combination,
    DecoderConfig,
    EncoderConfig,
    Positions,
    TransformerStackConfig,
)
from nmt.config.schema import Config
from nmt.config.self_attention import PACKABLE
from nmt.config.stack_depth import Depth

_PACKABLE_POSITIONS = (Positions.SINUSOIDAL, Positions.LEARNED, Positions.ROTARY)


def packing_obstacle(config: Config) -> str | None:
    """Return the setting that prevents training on packed batches; None: there is none.

    Attention over a packed row is plain softmax within each sentence. Its tensors have no axis of
    sentences. It accepts no bias and returns no weights. Both lengths of every pair have to be
    known in advance.
    """
    return _obstacle_of_model(config) or _obstacle_of_training(config)


def _obstacle_of_model(config: Config) -> str | None:
    model = config.model
    if model.features.combination != Combination.NONE:
        return f"model.features.combination={model.features.combination}"
    if is_hierarchical(model.encoder):
        return SETTING
    if is_hierarchical(model.decoder):
        return DECODER_SETTING
    parts: list[tuple[str, EncoderConfig | DecoderConfig]]
    parts = [("encoder", model.encoder), ("decoder", model.decoder)]
    for side, part in parts:
        if not isinstance(part, TransformerStackConfig):
            return f"model/{side}={part.name}"
        if part.positions not in _PACKABLE_POSITIONS:
            return f"model.{side}.positions={part.positions}"
        if part.self_attention not in PACKABLE:
            return f"model.{side}.self_attention={part.self_attention}"
        if part.depth != Depth.FULL:
            return f"model.{side}.depth={part.depth}"
        if part.word_dropout:
            return f"model.{side}.word_dropout={part.word_dropout:g}"
    return None


def _obstacle_of_training(config: Config) -> str | None:
    training = config.training
    in_use = {
        "tokenizer.sampling": config.tokenizer.sampling,
        "training.guided_alignment.weight": training.guided_alignment.weight,
        "training.coverage_loss": training.coverage_loss,
        "training.r_drop": training.r_drop,
        "training.distillation.teacher": training.distillation.teacher,
    }
    return next((f"{name}={value}" for name, value in in_use.items() if value), None)
