"""Refuses a model that is too large for the machine, before the corpus is prepared."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nmt import processes
from nmt.config.schema import Config
from nmt.config.tokenizer_settings import TokenizerKind
from nmt.config.training_settings import Parallel
from nmt.errors import UserError
from nmt.model_shapes import weight_shapes

_BYTES = {"adam": 16, "adamw": 16, "adadelta": 16}  # weight, gradient and two moments in float32
_BYTES_OTHERWISE = 8  # weight and gradient; both are bytes per parameter
_LIMIT = Path("/sys/fs/cgroup/memory.max")


def check_memory(config: Config, device: torch.device) -> None:
    """Compare the memory of weights, gradients and optimizer with that of the device.

    The estimate is a lower bound, because it excludes activations and batches.

    Raises:
        UserError: The model does not fit.
    """
    have = _memory(device)
    if have is None:
        return
    if config.training.parallel == Parallel.FSDP:
        have *= processes.world()
    parameters = count_parameters_without_memory(config)
    need = parameters * _BYTES.get(config.optimizer.name, _BYTES_OTHERWISE)
    if need > have:
        raise UserError(
            f"the model has {parameters:,} parameters, which take {_gigabytes(need)} with "
            f"gradients and optimizer, but {device} has {_gigabytes(have)}: lower the sizes or the "
            "number of layers of model, or tokenizer.vocab_size"
        )


def count_parameters_without_memory(config: Config) -> int:
    """Return the number of parameters; for vocabularies of unknown size, a lower bound.

    From the third layer on, layers of a stack have equal sizes. Deeper stacks are therefore
    extrapolated from two and three layers.
    """
    tokenizer, model = config.tokenizer, config.model
    known = tokenizer.model is None and tokenizer.name not in (
        TokenizerKind.CHAR,
        TokenizerKind.WORD,
    )
    size = tokenizer.vocab_size if known else 8

    def count(encoder_layers: int, decoder_layers: int) -> int:
        encoder: Any = _with_layers(model.encoder, encoder_layers)
        decoder: Any = _with_layers(model.decoder, decoder_layers)
        return weight_shapes(replace(model, encoder=encoder, decoder=decoder), size, size)[1]

    layers = [getattr(part, "num_layers", 1) for part in (model.encoder, model.decoder)]
    few = [min(number, 3) for number in layers]
    total = count(*few)
    for side, (number, built) in enumerate(zip(layers, few, strict=True)):
        if number > built:
            fewer = [*few]
            fewer[side] -= 1
            total += (number - built) * (count(*few) - count(*fewer))
    return total


def _with_layers(part: Any, number: int) -> Any:
    return replace(part, num_layers=number) if hasattr(part, "num_layers") else part


def _memory(device: torch.device) -> int | None:
    """Return the bytes of memory of a device; None: unknown."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _LIMIT.read_text().strip()
    except OSError:
        limit = "max"
    return min(physical, int(limit)) if limit.isdigit() else physical


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
