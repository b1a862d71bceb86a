"""Checks the settings beside copying from the source, ``model.decoder.copy=pointer``."""

from collections.abc import Iterator

from nmt.config.checks.check_features import reading_setting
from nmt.config.model import RnnDecoderConfig, copies
from nmt.config.schema import Config

_KEY = "model.decoder.copy=pointer"


def check_copying(config: Config) -> Iterator[str]:
    """Yield a message for each impossible combination."""
    decoder = config.model.decoder
    if not isinstance(decoder, RnnDecoderConfig) or not copies(decoder):
        return
    if not config.tokenizer.joint:
        yield f"{_KEY} needs one vocabulary of source and target: set tokenizer.joint=true"
    if not decoder.attention.attends:
        yield (
            f"{_KEY} copies the pieces that the decoder attends to, but model/decoder/attention is "
            "none: choose another attention"
        )
    if getattr(decoder.attention, "window", "global") == "local_p":
        yield (
            f"{_KEY} needs attention weights that sum to 1, but those of "
            "model.decoder.attention.window=local_p sum to less: choose global or local_m"
        )
    if (reader := reading_setting(config.model)) is not None:
        yield f"{_KEY} copies only pieces of a text, and cannot be combined with {reader}"
    yield from _training(config)


def _training(config: Config) -> Iterator[str]:
    training, distillation = config.training, config.training.distillation
    if training.r_drop:
        yield (
            f"training.r_drop={training.r_drop:g} compares distributions without copies, and "
            f"cannot be combined with {_KEY}: set training.r_drop=0"
        )
    if distillation.teacher is not None and distillation.weight:
        yield (
            f"training.distillation.weight={distillation.weight:g} compares distributions without "
            f"copies, and cannot be combined with {_KEY}: set training.distillation.weight=0. The "
            "student can still learn from translations of the teacher"
        )
