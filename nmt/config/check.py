"""Refuses impossible configurations before any work, all faults at once."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from nmt.config.check_data import check_data
from nmt.config.check_model import check_model
from nmt.config.check_tokenizer import check_tokenizer
from nmt.config.choices import CHOICES, GROUPS
from nmt.config.faults import (
    Fault,
    at_least,
    not_negative,
    one_of,
    positive,
    probability,
)
from nmt.config.model import (
    LEARNED_POSITIONS,
    DecoderConfig,
    RnnDecoderConfig,
    TransformerDecoderConfig,
)
from nmt.config.schema import (
    AdadeltaConfig,
    AdamConfig,
    Config,
    CosineScheduleConfig,
    HalvingScheduleConfig,
    OptimizerConfig,
    PlateauScheduleConfig,
    ScheduleConfig,
)
from nmt.errors import UserError


def check_config(config: Config) -> None:
    """Check every range and combination.

    Raises:
        UserError: One line that names each faulty key, its value and what is allowed.
    """
    guided = config.training.guided_alignment.weight > 0
    faults = [
        *_names(config),
        *_seed(config.seed),
        *check_data(config.data),
        *check_tokenizer(config.tokenizer, guided_alignment=guided),
        *check_model(config.model, joint=config.tokenizer.joint),
        *_learned_positions(config),
        *_optimizer(config.optimizer),
        *_schedule(config.schedule),
        *_training(config),
        *_attention_losses(config),
        *_decoding(config),
    ]
    if faults:
        raise UserError("; ".join(faults))


def _learned_positions(config: Config) -> Iterator[Fault]:
    for side, part in (("encoder", config.model.encoder), ("decoder", config.model.decoder)):
        learned = getattr(part, "positions", None) == "learned"
        if learned and config.data.max_length >= LEARNED_POSITIONS:
            yield (
                f"model.{side}.positions=learned tells {LEARNED_POSITIONS} positions apart, EOS "
                f"counted, but data.max_length is {config.data.max_length}: lower it, or choose "
                "other positions"
            )


def _names(section: Any, prefix: str = "") -> Iterator[Fault]:
    """A group's choice brings its own settings; a new name alone would keep those of another."""
    for field in dataclasses.fields(section):
        part, key = getattr(section, field.name), f"{prefix}{field.name}"
        if not dataclasses.is_dataclass(part):
            continue
        base = next((base for base, kinds in CHOICES.items() if type(part) in kinds.values()), None)
        if base and CHOICES[base].get(getattr(part, "name", "")) is not type(part):
            names = ", ".join(CHOICES[base])
            yield f"{key}.name cannot be set; choose with {GROUPS[base]}=..., from {names}"
        yield from _names(part, f"{key}.")


def _seed(seed: int) -> Iterator[Fault]:
    if not 0 <= seed < 2**63:
        yield f"seed is {seed}; it must be at least 0 and below 2^63"


def _optimizer(optimizer: OptimizerConfig) -> Iterator[Fault]:
    yield from positive("optimizer.learning_rate", optimizer.learning_rate)
    if isinstance(optimizer, AdamConfig | AdadeltaConfig):
        yield from positive("optimizer.epsilon", optimizer.epsilon)
    for name in ("beta1", "beta2", "momentum", "rho"):
        if hasattr(optimizer, name):
            yield from probability(f"optimizer.{name}", getattr(optimizer, name))
    yield from not_negative("optimizer.weight_decay", optimizer.weight_decay)


def _schedule(schedule: ScheduleConfig) -> Iterator[Fault]:
    least = 1 if schedule.name == "inverse_sqrt" else 0
    yield from at_least("schedule.warmup", schedule.warmup, least)
    if isinstance(schedule, CosineScheduleConfig) and not 0 <= schedule.final_factor <= 1:
        yield f"schedule.final_factor is {schedule.final_factor}, not in [0, 1]"
    if isinstance(schedule, PlateauScheduleConfig | HalvingScheduleConfig) and not (
        0 < schedule.factor < 1
    ):
        yield f"schedule.factor is {schedule.factor}, not between 0 and 1"
    if isinstance(schedule, PlateauScheduleConfig):
        yield from at_least("schedule.patience", schedule.patience, 1)
    if isinstance(schedule, HalvingScheduleConfig):
        yield from at_least("schedule.start", schedule.start, 0)
        yield from at_least("schedule.every", schedule.every, 1)


def _training(config: Config) -> Iterator[Fault]:
    training = config.training
    counts = ("max_updates", "accumulation", "validate_every", "save_every", "validation_beam_size")
    for name in counts:
        yield from at_least(f"training.{name}", getattr(training, name), 1)
    yield from at_least("training.batch_tokens", training.batch_tokens, training.accumulation)
    if training.max_minutes is not None:
        yield from positive("training.max_minutes", training.max_minutes)
    if training.clip_norm is not None:
        yield from positive("training.clip_norm", training.clip_norm)
    if training.patience is not None:
        yield from at_least("training.patience", training.patience, 1)
    if training.threads is not None and not 1 <= training.threads <= 1024:
        yield f"training.threads is {training.threads}; it must be from 1 to 1024"
    if training.ema_decay is not None:
        yield from probability("training.ema_decay", training.ema_decay)
    yield from probability("training.label_smoothing", training.label_smoothing)
    yield from one_of("training.precision", training.precision, "auto", "float32", "bfloat16")
    yield from one_of("training.best_metric", training.best_metric, "bleu", "perplexity")


def _attention_losses(config: Config) -> Iterator[Fault]:
    guided, coverage = config.training.guided_alignment, config.training.coverage_loss
    yield from not_negative("training.guided_alignment.weight", guided.weight)
    yield from not_negative("training.coverage_loss", coverage)
    layers, heads = _attending(config.model.decoder)
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


def _attending(decoder: DecoderConfig) -> tuple[int, int]:
    """Return in how many layers a decoder attends to the source, and with how many heads each."""
    if isinstance(decoder, TransformerDecoderConfig):
        return decoder.num_layers, decoder.num_heads
    assert isinstance(decoder, RnnDecoderConfig)
    attends = decoder.attention.name != "none"
    return int(attends), getattr(decoder.attention, "num_heads", 1)


def _decoding(config: Config) -> Iterator[Fault]:
    decoding = config.decoding
    for name in ("beam_size", "batch_size", "max_length_extra"):
        yield from at_least(f"decoding.{name}", getattr(decoding, name), 1)
    if not 0 <= decoding.length_penalty <= 10:
        yield f"decoding.length_penalty is {decoding.length_penalty}, not in [0, 10]"
    yield from not_negative("decoding.max_length_ratio", decoding.max_length_ratio)
    yield from at_least("logging.log_every", config.logging.log_every, 1)
    yield from at_least("logging.samples", config.logging.samples, 0)
    decoder, layer = config.model.decoder, config.logging.heatmap_layer
    layers = decoder.num_layers if isinstance(decoder, TransformerDecoderConfig) else 1
    if not -layers <= layer < layers:
        yield f"logging.heatmap_layer is {layer}, but the decoder attends in {layers} layers"
