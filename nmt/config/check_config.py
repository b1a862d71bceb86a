"""Refuses impossible configurations before any work, all faults at once."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from nmt.config.check_data import check_data
from nmt.config.check_model import check_model
from nmt.config.check_recipes import check_recipes
from nmt.config.check_tokenizer import check_tokenizer
from nmt.config.check_training import check_training
from nmt.config.choices import CHOICES, GROUPS
from nmt.config.model import (
    LEARNED_POSITIONS,
    TransformerDecoderConfig,
)
from nmt.config.ranges import (
    Fault,
    at_least,
    not_negative,
    positive,
    probability,
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
        *check_training(config),
        *check_recipes(config),
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
