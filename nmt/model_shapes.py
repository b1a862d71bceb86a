"""Models without values: the shapes of their weights, and models that are about to be loaded."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from nmt.config.model import ModelConfig
from nmt.model.build import build_model
from nmt.model.documents.sentence_segments import ContextPieces
from nmt.model.seq2seq import TranslationModel

_RANDOM = (torch.Tensor.normal_, torch.Tensor.uniform_)


class _NoRandomValues(TorchFunctionMode):
    """Skips the random initialization of layers, and runs `torch.arange` on the CPU.

    On the meta device, each of the two makes torch load 800 modules, which takes several seconds.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM or getattr(func, "__module__", "") == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        if func is torch.arange:
            return func(*args, **{**kwargs, "device": "cpu"})
        return func(*args, **kwargs)


def model_without_values(
    config: ModelConfig, source_size: int, target_size: int, context: ContextPieces | None = None
) -> TranslationModel:
    """Build a model whose weights are loaded afterwards; this draws no random numbers.

    Random initialization would take seconds for a large model.

    Args:
        config: Checked settings.
        source_size: Pieces of the source vocabulary.
        target_size: Pieces of the target vocabulary.
        context: See `nmt.model.build.build_model`.
    """
    with _NoRandomValues():
        return build_model(config, source_size, target_size, initialize=False, context=context)


def weight_shapes(
    config: ModelConfig, source_size: int, target_size: int
) -> tuple[dict[str, torch.Size], int]:
    """Return the shape of each weight by its name, and the number of parameters.

    A matrix that several layers share has several names and is counted once.

    Args:
        config: Checked settings.
        source_size: Pieces of the source vocabulary.
        target_size: Pieces of the target vocabulary.
    """
    with torch.device("meta"):
        model = model_without_values(config, source_size, target_size)
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    return shapes, sum(parameter.numel() for parameter in model.parameters())
