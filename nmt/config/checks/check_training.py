"""Checks combinations of the settings of a training with those of its model and corpus."""

from collections.abc import Iterator

from nmt.config.checks.capturable import capture_obstacle
from nmt.config.checks.packable import packing_obstacle
from nmt.config.data import Corpus
from nmt.config.model import (
    TransformerStackConfig,
)
from nmt.config.numbering import attention_layers, counted, exists, number_fault, number_range
from nmt.config.schema import Config
from nmt.config.training_settings import BatchShapes, Compile, Parallel


def check_training(config: Config) -> Iterator[str]:
    """Yield a message for each impossible combination."""
    training = config.training
    if 0 < training.batch_tokens < training.accumulation:
        yield (
            f"training.batch_tokens is {training.batch_tokens}; it must be at least "
            f"{training.accumulation}, the value of training.accumulation"
        )
    obstacle = packing_obstacle(config)
    if training.batch_shapes == BatchShapes.PACKED and obstacle is not None:
        yield (
            f"training.batch_shapes=packed does not support {obstacle}: choose auto, which packs "
            "where it can"
        )
    yield from _parallel(config)
    yield from _gradient_checkpointing(config)
    yield from _compile(config)
    yield from _attention_losses(config)
    yield from _guided_alignment(config)


def _parallel(config: Config) -> Iterator[str]:
    for side, part in (("encoder", config.model.encoder), ("decoder", config.model.decoder)):
        layer_drop = getattr(part, "layer_drop", 0.0)
        if config.training.parallel == Parallel.FSDP and layer_drop > 0:
            yield (
                f"training.parallel=fsdp needs every layer in every process, but model.{side}."
                f"layer_drop is {layer_drop}: set layer_drop=0, or training.parallel=ddp"
            )


def _gradient_checkpointing(config: Config) -> Iterator[str]:
    if config.training.gradient_checkpointing and not _has_transformer_layers(config):
        yield (
            "training.gradient_checkpointing=true is for Transformer layers, which this model does "
            "not have: set it to false, and raise training.accumulation if memory is short"
        )


def _compile(config: Config) -> Iterator[str]:
    chosen, obstacle = config.training.compile, capture_obstacle(config)
    if chosen == Compile.GRAPHS and obstacle is not None:
        yield (
            f"training.compile=graphs cannot capture a pass with {obstacle}: choose "
            "training.compile=auto, or change that setting"
        )
    if chosen == Compile.LAYERS and not _has_transformer_layers(config):
        yield (
            "training.compile=layers is for Transformer layers, which this model does not have: "
            "choose auto"
        )


def _has_transformer_layers(config: Config) -> bool:
    parts = config.model.encoder, config.model.decoder
    return any(isinstance(part, TransformerStackConfig) for part in parts)


def _attention_losses(config: Config) -> Iterator[str]:
    training = config.training
    layers, _ = attention_layers(config.model.decoder)
    weights = {
        "guided_alignment.weight": training.guided_alignment.weight,
        "coverage_loss": training.coverage_loss,
    }
    for key, weight in weights.items():
        if weight > 0 and not layers:
            yield (
                f"training.{key}={weight} needs a decoder with attention, but "
                f"model.decoder.attention is none: choose another kind, or set training.{key}=0"
            )


def _guided_alignment(config: Config) -> Iterator[str]:
    guided = config.training.guided_alignment
    if not guided.weight > 0:
        return
    if config.data.name != Corpus.PHRASEBOOK and config.data.alignments.train is None:
        yield (
            f"training.guided_alignment.weight={guided.weight} needs the word links of the "
            "training pairs: set data.alignments.train=FILE"
        )
    if config.data.context_sentences:
        yield (
            f"training.guided_alignment.weight={guided.weight} cannot be combined with "
            "data.context_sentences, whose pieces have no links: set one of the two to 0"
        )
    layers, heads = attention_layers(config.model.decoder)
    if not layers:
        return
    key = "training.guided_alignment"
    if guided.layer is not None and (fault := number_fault(f"{key}.layer", guided.layer, layers)):
        yield fault
    if not exists(guided.head, heads):
        yield (
            f"{key}.head is {guided.head}, but the decoder's attention has "
            f"{counted(heads, 'head')}: {number_range(heads)}"
        )
