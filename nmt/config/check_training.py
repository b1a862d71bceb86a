"""Refuses impossible budgets, precisions and losses of a training."""

from collections.abc import Iterator

from nmt.config.model import (
    DecoderConfig,
    RnnDecoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
)
from nmt.config.ranges import (
    Fault,
    at_least,
    not_negative,
    one_of,
    positive,
    probability,
)
from nmt.config.schema import Config, TrainingConfig

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def check_training(config: Config) -> Iterator[Fault]:
    """Yield what is wrong with the training section."""
    yield from _training(config)
    yield from _attention_losses(config)


def _training(config: Config) -> Iterator[Fault]:
    training = config.training
    counts = ("max_updates", "accumulation", "validate_every", "save_every", "validation_beam_size")
    for name in (*counts, "keep_last", "keep_best"):
        yield from at_least(f"training.{name}", getattr(training, name), 1)
    if training.batch_tokens:  # 0: found by trying
        yield from at_least("training.batch_tokens", training.batch_tokens, training.accumulation)
    if training.max_minutes is not None:
        yield from positive("training.max_minutes", training.max_minutes)
    if training.clip_norm is not None:
        yield from positive("training.clip_norm", training.clip_norm)
    if training.keep_every is not None:
        yield from at_least("training.keep_every", training.keep_every, 1)
    if training.patience is not None:
        yield from at_least("training.patience", training.patience, 1)
    if training.threads is not None and not 1 <= training.threads <= 1024:
        yield f"training.threads is {training.threads}; it must be from 1 to 1024"
    if training.ema_decay is not None:
        yield from probability("training.ema_decay", training.ema_decay)
    yield from probability("training.label_smoothing", training.label_smoothing)
    yield from one_of("training.precision", training.precision, *PRECISIONS)
    yield from _parallel(config)
    yield from _divergence(training)
    yield from _recomputed(config)
    yield from one_of("training.best_metric", training.best_metric, "bleu", "perplexity")


def _parallel(config: Config) -> Iterator[Fault]:
    kind = config.training.parallel
    yield from one_of("training.parallel", kind, "auto", "ddp", "fsdp")
    for side, part in (("encoder", config.model.encoder), ("decoder", config.model.decoder)):
        if kind == "fsdp" and getattr(part, "layer_drop", 0.0) > 0:
            yield (
                f"training.parallel=fsdp needs every layer in every process, but model.{side}."
                f"layer_drop is {getattr(part, 'layer_drop', 0.0)}: set it to 0, or choose ddp"
            )


def _divergence(training: TrainingConfig) -> Iterator[Fault]:
    yield from at_least("training.max_skipped", training.max_skipped, 0)
    yield from one_of("training.on_divergence", training.on_divergence, "stop", "rewind")
    if not 0 < training.rewind_rate <= 1:
        yield f"training.rewind_rate is {training.rewind_rate}; it must be above 0 and at most 1"


def _recomputed(config: Config) -> Iterator[Fault]:
    layered = TransformerEncoderConfig | TransformerDecoderConfig
    parts = config.model.encoder, config.model.decoder
    if config.training.gradient_checkpointing and not any(isinstance(p, layered) for p in parts):
        yield (
            "training.gradient_checkpointing=true is for Transformer layers, of which this model "
            "has none: set it to false, and training.accumulation higher where memory is short"
        )


def _attention_losses(config: Config) -> Iterator[Fault]:
    guided, coverage = config.training.guided_alignment, config.training.coverage_loss
    yield from not_negative("training.guided_alignment.weight", guided.weight)
    yield from not_negative("training.coverage_loss", coverage)
    layers, heads = attending(config.model.decoder)
    for key, weight in (("guided_alignment.weight", guided.weight), ("coverage_loss", coverage)):
        if weight > 0 and not layers:
            yield (
                f"training.{key}={weight} needs a decoder with attention, but "
                "model.decoder.attention is none: choose another attention, or set it to 0"
            )
    has_links = config.data.name == "phrasebook" or config.data.alignments.train is not None
    if guided.weight > 0 and not has_links:
        yield (
            f"training.guided_alignment.weight={guided.weight} needs the word links of the "
            "training pairs: set data.alignments.train=FILE"
        )
    if guided.weight > 0 and layers:
        if guided.layer is not None and not -layers <= guided.layer < layers:
            yield (
                f"training.guided_alignment.layer is {guided.layer}, "
                f"but the decoder attends in {layers} {'layer' if layers == 1 else 'layers'}"
            )
        if not 0 <= guided.head < heads:
            yield (
                f"training.guided_alignment.head is {guided.head}, but the decoder's attention "
                f"has {heads} {'head' if heads == 1 else 'heads'}, counted from 0"
            )


def attending(decoder: DecoderConfig) -> tuple[int, int]:
    """Return in how many layers a decoder attends to the source, and with how many heads each."""
    if isinstance(decoder, TransformerDecoderConfig):
        return decoder.num_layers, decoder.num_heads
    assert isinstance(decoder, RnnDecoderConfig)
    attends = decoder.attention.name != "none"
    return int(attends), getattr(decoder.attention, "num_heads", 1)
