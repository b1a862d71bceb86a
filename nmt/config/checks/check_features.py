"""Checks the settings beside features, which a model reads with the text or instead of it."""

from collections.abc import Iterator

from nmt.config.data import SPLITS, DataConfig, FilesDataConfig
from nmt.config.model import (
    Combination,
    ModelConfig,
    RegionEncoderConfig,
    RnnDecoderConfig,
    Tying,
)
from nmt.config.schema import Config
from nmt.config.training_settings import Parallel


def reading_setting(model: ModelConfig) -> str | None:
    """Return the setting by which a model reads features; None: it reads none."""
    if isinstance(model.encoder, RegionEncoderConfig):
        return "model/encoder=regions"
    if model.features.combination != Combination.NONE:
        return f"model.features.combination={model.features.combination}"
    return None


def feature_size(model: ModelConfig) -> tuple[str, int | None]:
    """Return the key of the setting for the size of a region's vector, and its value."""
    if isinstance(model.encoder, RegionEncoderConfig):
        return "model.encoder.feature_size", model.encoder.feature_size
    return "model.features.size", model.features.size


def check_features(config: Config) -> Iterator[str]:
    """Yield a message for each impossible combination."""
    reader = reading_setting(config.model)
    given = [split for split in SPLITS if getattr(config.data.features, split) is not None]
    if reader is None:
        for split in given[:1]:
            yield (
                f"data.features.{split} is {getattr(config.data.features, split)}, but the model "
                "reads only text: set model.features.combination=gated or joint, or remove "
                f"data.features.{split}"
            )
        yield from _unread(config.model)
        return
    yield from _model(config.model, reader)
    yield from _files(config.data, reader)
    yield from _training(config, reader)


def _unread(model: ModelConfig) -> Iterator[str]:
    if model.features.size is not None:
        yield (
            f"model.features.size={model.features.size} has no effect with "
            "model.features.combination=none: remove it, or choose gated or joint"
        )


def _model(model: ModelConfig, reader: str) -> Iterator[str]:
    if isinstance(model.encoder, RegionEncoderConfig):
        if model.features.combination != Combination.NONE:
            yield (
                f"model.features.combination={model.features.combination} reads features beside a "
                "text, but model/encoder=regions reads no text: set it to none"
            )
        if model.tying == Tying.THREE_WAY:
            yield (
                "model.tying=three_way shares the source embedding, which model/encoder=regions "
                "does not have: set model.tying=decoder"
            )
    elif model.features.size is None:
        yield f"{reader} needs the size of a region's vector: set model.features.size"
    if not isinstance(model.decoder, RnnDecoderConfig):
        return
    attention = model.decoder.attention
    if not attention.attends and model.features.combination == Combination.GATED:
        yield (
            f"{reader} needs a decoder with attention, but model/decoder/attention is none: choose "
            "another attention"
        )
    by_place = (
        attention.name == "luong_location" or getattr(attention, "window", "global") != "global"
    )
    if by_place and model.features.combination != Combination.GATED:
        how = "luong_location" if attention.name == "luong_location" else "window"
        yield (
            f"{reader} makes the decoder attend to regions, which have no order, but "
            f"model.decoder.attention ({how}) attends by position: choose another attention, or "
            "model.features.combination=gated"
        )


def _files(data: DataConfig, reader: str) -> Iterator[str]:
    for split in SPLITS:
        has_text = not isinstance(data, FilesDataConfig) or getattr(data, split) is not None
        file = getattr(data.features, split)
        if has_text and file is None:
            none = ", or data.test=null" if split == "test" else ""
            yield f"{reader} needs features: set data.features.{split}=FILE{none}"
        if not has_text and file is not None:
            yield (
                f"data.features.{split} is {file}, but data.{split} is null: remove "
                f"data.features.{split}"
            )
        source = getattr(data, split, None) if isinstance(data, FilesDataConfig) else None
        if source is not None and source.held_out is not None:
            yield (
                f"data.features.train has one array per line of a file, but data.{split}=split "
                "divides the file: give a separate file"
            )
    for name in data.extra:
        yield (
            f"{reader} needs features of all training pairs, but data.extra.{name} has none: "
            "concatenate the texts"
        )


def _training(config: Config, reader: str) -> Iterator[str]:
    training, context = config.training, config.data.context_sentences
    if context:
        yield f"data.context_sentences={context} cannot be combined with {reader}: set it to 0"
    if training.parallel == Parallel.FSDP:
        yield f"training.parallel=fsdp cannot be combined with {reader}: choose ddp"
    if training.distillation.teacher is not None:
        yield (
            f"training.distillation.teacher={training.distillation.teacher} cannot be combined "
            f"with {reader}: train without a teacher"
        )
    if isinstance(config.model.encoder, RegionEncoderConfig) and training.guided_alignment.weight:
        yield (
            f"training.guided_alignment.weight={training.guided_alignment.weight:g} links words of "
            f"the source, which {reader} does not read: set it to 0"
        )
