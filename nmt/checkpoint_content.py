"""Checks the content of a checkpoint before it is used: a file may contain anything.

The settings are checked like those of a user. The weights must have the shapes that settings and
tokenizers imply. These shapes are computed without memory for the weights.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from nmt.config.checks.check_config import check_config
from nmt.config.checks.check_ranges import shown
from nmt.config.plain import from_mapping
from nmt.config.schema import Config
from nmt.errors import UserError
from nmt.model_shapes import weight_shapes
from nmt.text.tokenizer import TokenizerPair

_SHOWN = 3  # weights that differ
_DEEPEST = 50  # levels of containers in a training state
_MOST_VALUES = 2_000_000


def checked_config(mapping: Any) -> Config:
    """Return the settings in a checkpoint, checked as those of a user are.

    Raises:
        UserError: They are not the settings of this version, or a value is not allowed.
    """
    config = from_mapping(Config, mapping)
    check_config(config)
    return config


def checked_tokenizers(source: Any, target: Any) -> TokenizerPair:
    """Return the tokenizers in a checkpoint.

    Raises:
        UserError: They are not SentencePiece models of `nmt`.
    """
    for side, model in (("source", source), ("target", target)):
        if not isinstance(model, bytes):
            raise UserError(f"its {side} tokenizer is {shown(model)}, not a SentencePiece model")
    return TokenizerPair.from_bytes(source, target)


def check_values(weights: Any, training: Any, metrics: Any, update: Any) -> None:
    """Check the types of the other parts, and that no tensor is larger than its bytes in the file.

    Raises:
        UserError: A part has another type, or a tensor takes more memory than the file.
    """
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(weight, Tensor) for name, weight in weights.items()
    ):
        raise UserError("its weights are not a mapping from names to tensors")
    if training is not None and not isinstance(training, dict):
        raise UserError(f"its training state is {shown(training)}, not a mapping")
    if not isinstance(metrics, dict) or not all(
        isinstance(name, str) and isinstance(value, int | float | str)
        for name, value in metrics.items()
    ):
        raise UserError("its scores are not a mapping from names to numbers or texts")
    if update is not None and (type(update) is not int or not 0 <= update < 1 << 63):
        raise UserError(f"its update is {shown(update)}, not a number of updates")
    for tensor in _tensors([weights, training]):
        _check_tensor(tensor)
    if not all(weight.is_floating_point() for weight in weights.values()):
        raise UserError("its weights are not floating-point numbers")


def check_shapes(config: Config, tokenizers: TokenizerPair, weights: Mapping[str, Tensor]) -> None:
    """Check that weights have the shapes that the settings and the tokenizers imply.

    Raises:
        UserError: The shapes differ; the message names the first weights that differ.
    """
    sizes = len(tokenizers.source), len(tokenizers.target)
    layers = [
        getattr(part, "num_layers", 1) for part in (config.model.encoder, config.model.decoder)
    ]
    if sum(layers) > len(weights):  # building thousands of layers takes seconds
        raise UserError(
            f"its weights do not match its settings: {len(weights)} for {sum(layers)} layers"
        )
    expected, parameters = weight_shapes(config.model, *sizes)
    differing = list(_differences(expected, weights))
    if differing:
        rest = len(differing) - _SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        raise UserError(
            f"its weights do not match its settings and its tokenizers of {sizes[0]} and "
            f"{sizes[1]} pieces: {'; '.join(differing[:_SHOWN])}{more}"
        )
    stored = {weight.untyped_storage().data_ptr(): weight for weight in weights.values()}
    numbers = sum(w.untyped_storage().nbytes() // w.element_size() for w in stored.values())
    if numbers < parameters:
        raise UserError(f"its weights have {numbers:,} values, but its model has {parameters:,}")


def _differences(
    expected: Mapping[str, torch.Size], weights: Mapping[str, Tensor]
) -> Iterator[str]:
    for name, shape in expected.items():
        if name not in weights:
            yield f"{name} is missing"
        elif weights[name].shape != shape:
            yield f"{name} is {list(weights[name].shape)}, not {list(shape)}"
    for name in weights:
        if name not in expected:
            yield f"{shown(name)} does not belong to the model"


def _check_tensor(tensor: Tensor) -> None:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise UserError("it contains a tensor that is sparse, quantized or not on the CPU")
    needed = math.prod(tensor.shape) * tensor.element_size()
    if needed > tensor.untyped_storage().nbytes():
        raise UserError(
            f"it contains a tensor of shape {shown(list(tensor.shape))}, but fewer values"
        )


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors in nested containers.

    Raises:
        UserError: The containers are nested too deeply, or contain each other.
    """
    level: list[Any] = list(values)
    seen = 0
    for _ in range(_DEEPEST):
        seen += len(level)
        if seen > _MOST_VALUES:
            break
        yield from (value for value in level if isinstance(value, Tensor))
        inner: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                inner += value.values()
            elif isinstance(value, list | tuple | set):
                inner += value
            if len(inner) > _MOST_VALUES:
                break
        if not inner:
            return
        level = inner
    raise UserError("its training state is nested too deeply")
