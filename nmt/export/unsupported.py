"""Refuses models that another program cannot compute; the error names the settings."""

from collections.abc import Iterable

from nmt.config.document_context import DECODER_SETTING, SETTING, is_hierarchical
from nmt.config.model import (
    Combination,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
)
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.transformer.transformer_layers import TransformerDecoderLayer

OTHER_FORMAT = "--to safetensors takes every model"
OTHER_ENGINE = "leave out --engine"
"""Remedies in messages: of an export, and of a translation."""


def refuse(target: str, reasons: Iterable[str], remedy: str = OTHER_FORMAT) -> None:
    """Refuse an export that would not compute the same as the model.

    Args:
        target: The name of the program.
        reasons: The settings that the program does not support, each as ``name=value``, with a
            reason if it is not obvious. Without any, nothing is refused.
        remedy: What the user can do otherwise, for the message.

    Raises:
        UserError: There is a reason.
    """
    if found := list(dict.fromkeys(reasons)):
        raise UserError(f"{target} has no form for {', '.join(found)}; {remedy}")


def transformer_stacks(
    config: Config, target: str, remedy: str = OTHER_FORMAT
) -> tuple[TransformerEncoderConfig, TransformerDecoderConfig]:
    """Return the settings of both stacks of a Transformer.

    Raises:
        UserError: The encoder or the decoder is not a Transformer, has another self-attention than
            ``full`` or adaptive depth, or the model has hierarchical context or combines features.
    """
    encoder, decoder = config.model.encoder, config.model.decoder
    names = {"encoder": encoder.name, "decoder": decoder.name}
    wrong = (f"model.{side}.name={name}" for side, name in names.items() if name != "transformer")
    refuse(target, wrong, remedy)
    assert isinstance(encoder, TransformerEncoderConfig)
    assert isinstance(decoder, TransformerDecoderConfig)
    kinds = {"encoder": encoder.self_attention, "decoder": decoder.self_attention}
    others = (
        f"model.{side}.self_attention={kind}" for side, kind in kinds.items() if kind != "full"
    )
    depths = {"encoder": encoder.depth, "decoder": decoder.depth}
    deep = (f"model.{side}.depth={depth}" for side, depth in depths.items() if depth != "full")
    refuse(target, (*others, *deep), remedy)
    contexts = {SETTING: encoder, DECODER_SETTING: decoder}
    refuse(target, (name for name, part in contexts.items() if is_hierarchical(part)), remedy)
    combination = config.model.features.combination
    if combination != Combination.NONE:
        refuse(target, [f"model.features.combination={combination}"], remedy)
    return encoder, decoder


def plain_cross_attention(layer: TransformerDecoderLayer) -> MultiHeadAttention:
    """Return the cross-attention of a decoder layer that `transformer_stacks` accepted."""
    assert isinstance(layer.cross_attention, MultiHeadAttention)
    return layer.cross_attention
