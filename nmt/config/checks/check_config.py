"""Refuses impossible configurations before any work, with all problems in one message."""

from collections.abc import Iterator

from nmt.config.checks.check_context import check_context
from nmt.config.checks.check_copying import check_copying
from nmt.config.checks.check_data import check_data
from nmt.config.checks.check_decoding import check_decoding
from nmt.config.checks.check_features import check_features
from nmt.config.checks.check_model import check_model
from nmt.config.checks.check_ranges import check_ranges
from nmt.config.checks.check_recipes import check_recipes
from nmt.config.checks.check_tokenizer import check_tokenizer
from nmt.config.checks.check_training import check_training
from nmt.config.model import LEARNED_POSITIONS, Positions
from nmt.config.numbering import attention_layers, number_fault
from nmt.config.schema import Config
from nmt.errors import CombinationError, UserError


def check_config(config: Config) -> None:
    """Check each setting and the combinations of settings.

    Raises:
        UserError: One line that names each key with a problem, its value, what is allowed, and the
            remedy. It is a `CombinationError` if each value is allowed, and the settings of the
            corpus have no problem.
    """
    mistakes = [*check_ranges(config), *check_data(config.data)]
    guided = config.training.guided_alignment.weight > 0
    problems = [
        *mistakes,
        *check_tokenizer(config.tokenizer, guided_alignment=guided),
        *check_model(config.model, joint=config.tokenizer.joint),
        *check_features(config),
        *check_context(config),
        *check_copying(config),
        *_learned_positions(config),
        *check_training(config),
        *check_recipes(config),
        *_decoding(config),
        *_heatmap_layer(config),
    ]
    if problems:
        raise (UserError if mistakes else CombinationError)("; ".join(problems))


def _learned_positions(config: Config) -> Iterator[str]:
    for side, part in (("encoder", config.model.encoder), ("decoder", config.model.decoder)):
        learned = getattr(part, "positions", None) == Positions.LEARNED
        if learned and config.data.max_length >= LEARNED_POSITIONS:
            yield (
                f"model.{side}.positions=learned has vectors for {LEARNED_POSITIONS} positions, "
                f"EOS included, but data.max_length is {config.data.max_length}: lower "
                "data.max_length, or choose other positions"
            )


def _heatmap_layer(config: Config) -> Iterator[str]:
    layers, _ = attention_layers(config.model.decoder)
    layer = config.logging.heatmap_layer
    if layer is not None and (
        fault := number_fault("logging.heatmap_layer", layer, max(layers, 1))
    ):
        yield fault


def _decoding(config: Config) -> Iterator[str]:
    layers, _ = attention_layers(config.model.decoder)
    for fault in check_decoding(config.decoding, attends=layers > 0):
        yield f"decoding.{fault}"
