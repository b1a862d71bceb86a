"""Warns about settings that are allowed, but have no effect or keep a model from learning."""

from collections.abc import Iterator
from typing import Any

from nmt.config.model import TransformerStackConfig
from nmt.config.schema import AdamConfig, Config
from nmt.config.self_attention import unread_settings
from nmt.config.stack_depth import unread_depth_loss

_SMALLEST_NORM = 1e-6
_SMALLEST_RATE = 1e-9
_LARGEST_DROPOUT = 0.95
_DROPOUTS = ("dropout", "attention_dropout", "feed_forward_dropout", "word_dropout", "layer_drop")


def doubtful_settings(config: Config) -> Iterator[str]:
    """Yield one line for each such setting, with the remedy."""
    yield from _length_of_the_run(config)
    yield from _optimizer(config)
    for side, part in (("encoder", config.model.encoder), ("decoder", config.model.decoder)):
        for name in _DROPOUTS:
            if (share := getattr(part, name, 0.0)) > _LARGEST_DROPOUT:
                yield f"model.{side}.{name}={share} drops almost everything: lower it"
        if isinstance(part, TransformerStackConfig):
            yield from unread_settings(side, part)
            yield from unread_depth_loss(side, part)
    smoothing = config.training.label_smoothing
    if smoothing > 0.9:
        yield f"training.label_smoothing={smoothing} gives the reference almost no weight: lower it"


def _length_of_the_run(config: Config) -> Iterator[str]:
    training, updates = config.training, config.training.max_updates
    warmup = config.schedule.warmup
    if warmup > updates:
        yield (
            f"schedule.warmup={warmup} is longer than the run, which has training.max_updates="
            f"{updates}: the learning rate never reaches its peak; lower schedule.warmup"
        )
    decay = training.ema_decay
    if decay is not None and (1 - decay) * updates < 0.01:
        yield (
            f"training.ema_decay={decay} averages over about {1 / (1 - decay):,.0f} updates, but "
            f"the run has {updates:,}: lower it, e.g. to {_usual_decay(updates):.6g}"
        )
    if training.max_minutes is not None and training.max_minutes < 0.01:
        yield f"training.max_minutes={training.max_minutes} ends the run immediately: raise it"


def _usual_decay(updates: int) -> float:
    """Return the decay that averages over about a tenth of the run."""
    return max(0.0, 1 - 10 / max(updates, 20))


def _optimizer(config: Config) -> Iterator[str]:
    optimizer: Any = config.optimizer
    rate, clip = optimizer.learning_rate, config.training.clip_norm
    if clip is not None and clip < _SMALLEST_NORM:
        yield (
            f"training.clip_norm={clip} makes every gradient almost 0: choose about 1, or null for "
            "no clipping"
        )
    if rate < _SMALLEST_RATE:
        yield f"optimizer.learning_rate={rate} changes almost nothing: raise it"
    elif rate > 1000:
        yield f"optimizer.learning_rate={rate} makes the training diverge: lower it"
    if rate * optimizer.weight_decay >= 1:
        yield (
            f"optimizer.weight_decay={optimizer.weight_decay} times optimizer.learning_rate={rate} "
            "is 1 or more, so the decay is stronger than the gradient: lower "
            "optimizer.weight_decay"
        )
    if isinstance(optimizer, AdamConfig) and optimizer.epsilon > 1:
        yield (
            f"optimizer.epsilon={optimizer.epsilon} makes every step almost 0: choose about 1e-8"
        )
    for name in ("beta1", "beta2", "momentum", "rho"):
        if (decay := getattr(optimizer, name, 0.0)) > 0.99999:
            yield (
                f"optimizer.{name}={decay} averages over about {1 / (1 - decay):,.0f} updates: "
                "lower it"
            )
