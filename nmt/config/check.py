"""Refuses impossible configurations before any work, all faults at once."""

import math
from collections.abc import Iterator
from typing import Any

from nmt.config.data import DataConfig, FilesDataConfig, TokenizerConfig
from nmt.config.model import (
    AttentionConfig,
    BahdanauAttentionConfig,
    DecoderConfig,
    EncoderConfig,
    LuongConcatAttentionConfig,
    ModelConfig,
    RnnDecoderConfig,
    RnnEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
)
from nmt.config.schema import (
    Config,
    CosineScheduleConfig,
    OptimizerConfig,
    PlateauScheduleConfig,
    ScheduleConfig,
)
from nmt.errors import UserError

Fault = str


def check_config(config: Config) -> None:
    """Check every range and combination.

    Raises:
        UserError: One line that names each faulty key, its value and what is allowed.
    """
    faults = [
        *_seed(config.seed),
        *_data(config.data),
        *_tokenizer(config.tokenizer),
        *check_model(config.model, joint=config.tokenizer.joint),
        *_optimizer(config.optimizer),
        *_schedule(config.schedule),
        *_training(config),
        *_decoding(config),
    ]
    if faults:
        raise UserError("; ".join(faults))


def check_model(model: ModelConfig, *, joint: bool) -> Iterator[Fault]:
    """Yield what is wrong with a model whose vocabulary is joint or not."""
    yield from _encoder(model.encoder)
    yield from _decoder(model.decoder)
    yield from _one_of("model.tying", model.tying, "none", "decoder", "three_way")
    if model.tying == "three_way" and not joint:
        yield (
            "model.tying=three_way needs one vocabulary: set tokenizer.joint=true "
            "or model.tying=decoder"
        )
    source, target = _embedding_size(model.encoder), _embedding_size(model.decoder)
    if model.tying == "three_way" and source != target:
        yield (
            f"model.tying=three_way needs equal embedding sizes, but the encoder's is {source} "
            f"and the decoder's {target}: make them equal or set model.tying=decoder"
        )
    decoder = model.decoder
    if (
        model.tying != "none"
        and isinstance(decoder, RnnDecoderConfig)
        and decoder.embedding_size != decoder.hidden_size
    ):
        yield (
            f"model.tying={model.tying} needs model.decoder.embedding_size "
            f"({decoder.embedding_size}) equal to model.decoder.hidden_size "
            f"({decoder.hidden_size}): make them equal or set model.tying=none"
        )


def _embedding_size(part: EncoderConfig | DecoderConfig) -> int:
    if isinstance(part, RnnEncoderConfig | RnnDecoderConfig):
        return part.embedding_size
    assert isinstance(part, TransformerEncoderConfig | TransformerDecoderConfig)
    return part.hidden_size


def _seed(seed: int) -> Iterator[Fault]:
    if not 0 <= seed < 2**63:
        yield f"seed is {seed}; it must be at least 0 and below 2^63"


def _data(data: DataConfig) -> Iterator[Fault]:
    yield from _at_least("data.max_length", data.max_length, 1)
    languages = (data.source_language, data.target_language)
    if data.name in ("phrasebook", "huggingface") and languages[0] == languages[1]:
        yield f"data.source_language and data.target_language are both {languages[0]!r}"
    if data.name == "phrasebook" and not set(languages) <= {"en", "de"}:
        yield f"data=phrasebook holds en and de, not {' and '.join(languages)}"
    if isinstance(data, FilesDataConfig):
        for name in ("train", "valid", "test"):
            split = getattr(data, name)
            if split is not None and split.source == split.target:
                yield f"data.{name}.source and data.{name}.target are the same file, {split.source}"


def _tokenizer(tokenizer: TokenizerConfig) -> Iterator[Fault]:
    yield from _one_of("tokenizer.name", tokenizer.name, "unigram", "bpe")
    yield from _at_least("tokenizer.vocab_size", tokenizer.vocab_size, 8)
    if not 0.98 <= tokenizer.character_coverage <= 1.0:  # SentencePiece's own bounds
        yield f"tokenizer.character_coverage is {tokenizer.character_coverage}, not in [0.98, 1]"
    rules = ("nmt_nfkc", "nfkc", "identity")
    yield from _one_of("tokenizer.normalization", tokenizer.normalization, *rules)


def _encoder(encoder: EncoderConfig) -> Iterator[Fault]:
    if isinstance(encoder, RnnEncoderConfig):
        yield from _rnn("model.encoder", encoder)
    if isinstance(encoder, TransformerEncoderConfig):
        yield from _transformer("model.encoder", encoder)


def _decoder(decoder: DecoderConfig) -> Iterator[Fault]:
    if isinstance(decoder, RnnDecoderConfig):
        yield from _rnn("model.decoder", decoder)
        yield from _one_of("model.decoder.bridge", decoder.bridge, "tanh", "linear", "zero")
        yield from _attention(decoder.attention)
        if decoder.attention.name == "none" and decoder.bridge == "zero":
            yield (
                "model.decoder.bridge=zero with attention=none leaves the decoder blind "
                "to the source: use bridge=tanh"
            )
    if isinstance(decoder, TransformerDecoderConfig):
        yield from _transformer("model.decoder", decoder)


def _attention(attention: AttentionConfig) -> Iterator[Fault]:
    if isinstance(attention, BahdanauAttentionConfig | LuongConcatAttentionConfig):
        yield from _at_least("model.decoder.attention.size", attention.size, 1)


def _rnn(key: str, part: RnnEncoderConfig | RnnDecoderConfig) -> Iterator[Fault]:
    yield from _one_of(f"{key}.cell", part.cell, "gru", "lstm")
    for name in ("embedding_size", "hidden_size", "num_layers"):
        yield from _at_least(f"{key}.{name}", getattr(part, name), 1)
    yield from _probability(f"{key}.dropout", part.dropout)


def _transformer(
    key: str, part: TransformerEncoderConfig | TransformerDecoderConfig
) -> Iterator[Fault]:
    yield from _one_of(f"{key}.norm", part.norm, "pre", "post")
    for name in ("hidden_size", "feed_forward_size", "num_layers", "num_heads"):
        yield from _at_least(f"{key}.{name}", getattr(part, name), 1)
    if part.num_heads >= 1 and part.hidden_size % part.num_heads:
        yield (
            f"{key}.num_heads={part.num_heads} does not divide {key}.hidden_size={part.hidden_size}"
        )
    if part.hidden_size % 2:
        yield f"{key}.hidden_size={part.hidden_size} is odd; sinusoidal positions need an even one"
    for name in ("dropout", "attention_dropout", "feed_forward_dropout"):
        yield from _probability(f"{key}.{name}", getattr(part, name))


def _optimizer(optimizer: OptimizerConfig) -> Iterator[Fault]:
    yield from _one_of("optimizer.name", optimizer.name, "adam", "adamw")
    yield from _positive("optimizer.learning_rate", optimizer.learning_rate)
    yield from _positive("optimizer.epsilon", optimizer.epsilon)
    for name in ("beta1", "beta2"):
        yield from _probability(f"optimizer.{name}", getattr(optimizer, name))
    yield from _not_negative("optimizer.weight_decay", optimizer.weight_decay)


def _schedule(schedule: ScheduleConfig) -> Iterator[Fault]:
    least = 1 if schedule.name == "inverse_sqrt" else 0
    yield from _at_least("schedule.warmup", schedule.warmup, least)
    if isinstance(schedule, CosineScheduleConfig) and not 0 <= schedule.final_factor <= 1:
        yield f"schedule.final_factor is {schedule.final_factor}, not in [0, 1]"
    if isinstance(schedule, PlateauScheduleConfig):
        if not 0 < schedule.factor < 1:
            yield f"schedule.factor is {schedule.factor}, not between 0 and 1"
        yield from _at_least("schedule.patience", schedule.patience, 1)


def _training(config: Config) -> Iterator[Fault]:
    training = config.training
    counts = ("max_updates", "accumulation", "validate_every", "save_every", "validation_beam_size")
    for name in counts:
        yield from _at_least(f"training.{name}", getattr(training, name), 1)
    yield from _at_least("training.batch_tokens", training.batch_tokens, training.accumulation)
    if training.max_minutes is not None:
        yield from _positive("training.max_minutes", training.max_minutes)
    if training.clip_norm is not None:
        yield from _positive("training.clip_norm", training.clip_norm)
    if training.patience is not None:
        yield from _at_least("training.patience", training.patience, 1)
    if training.threads is not None and not 1 <= training.threads <= 1024:
        yield f"training.threads is {training.threads}; it must be from 1 to 1024"
    if training.ema_decay is not None:
        yield from _probability("training.ema_decay", training.ema_decay)
    yield from _probability("training.label_smoothing", training.label_smoothing)
    yield from _one_of("training.precision", training.precision, "auto", "float32", "bfloat16")
    yield from _one_of("training.best_metric", training.best_metric, "bleu", "perplexity")


def _decoding(config: Config) -> Iterator[Fault]:
    decoding = config.decoding
    for name in ("beam_size", "batch_size", "max_length_extra"):
        yield from _at_least(f"decoding.{name}", getattr(decoding, name), 1)
    if not 0 <= decoding.length_penalty <= 10:
        yield f"decoding.length_penalty is {decoding.length_penalty}, not in [0, 10]"
    yield from _not_negative("decoding.max_length_ratio", decoding.max_length_ratio)
    yield from _at_least("logging.log_every", config.logging.log_every, 1)
    yield from _at_least("logging.samples", config.logging.samples, 0)
    decoder, layer = config.model.decoder, config.logging.heatmap_layer
    layers = decoder.num_layers if isinstance(decoder, TransformerDecoderConfig) else 1
    if not -layers <= layer < layers:
        yield f"logging.heatmap_layer is {layer}, but the decoder attends in {layers} layers"


def _at_least(key: str, value: int, least: int) -> Iterator[Fault]:
    if value < least:
        yield f"{key} is {value}; it must be at least {least}"


def _positive(key: str, value: float) -> Iterator[Fault]:
    if not 0 < value < math.inf:
        yield f"{key} is {value}; it must be a number above 0"


def _not_negative(key: str, value: float) -> Iterator[Fault]:
    if not 0 <= value < math.inf:
        yield f"{key} is {value}; it must be a number, 0 or more"


def _probability(key: str, value: float) -> Iterator[Fault]:
    if not 0 <= value < 1:
        yield f"{key} is {value}; it must be in [0, 1)"


def _one_of(key: str, value: Any, *allowed: str) -> Iterator[Fault]:
    if value not in allowed:
        yield f"{key} is {value!r}; choose from {', '.join(allowed)}"
