"""Applies ``training.compile``, which decides how the passes of a run are launched."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from nmt import processes
from nmt.config.checks.capturable import capture_obstacle
from nmt.config.schema import Config
from nmt.config.training_settings import Compile
from nmt.errors import UserError
from nmt.kernels import dispatch
from nmt.model.transformer.transformer_layers import (
    TransformerDecoderLayer,
    TransformerEncoderLayer,
)
from nmt.training.passes.captured_passes import CapturedPasses, GraphBackend, Run
from nmt.training.passes.cuda_graphs import CudaGraphs
from nmt.training.services import Report


def graph_backend(device: torch.device) -> GraphBackend | None:
    """Return the backend that captures passes on a device; None: the device has none."""
    return CudaGraphs(device) if device.type == "cuda" else None


def captured_passes(
    run: Run, modules: Sequence[nn.Module], config: Config, device: torch.device, report: Report
) -> CapturedPasses | None:
    """Return an object that captures a run's passes; None: each operation is launched separately.

    Several processes exchange gradients during the backward pass, so their passes are not captured.

    Args:
        run: Accumulates the gradient of a batch.
        modules: The model in training, then other modules that ``run`` reads.
        config: The run's configuration.
        device: The model's device.
        report: Prints one line.

    Raises:
        UserError: ``training.compile=graphs`` is impossible on this device, with these kernels, or
            in several processes.
    """
    chosen = Compile(config.training.compile)
    if chosen is Compile.NONE:
        return None
    backend = graph_backend(device) if processes.world() == 1 else None
    if backend is not None and not dispatch.only_plain() and capture_obstacle(config) is None:
        return CapturedPasses(run, modules, backend, report)
    if chosen is Compile.GRAPHS:
        raise UserError(
            "training.compile=graphs needs a CUDA device, a single process and "
            "training.kernels=auto: choose training.compile=auto"
        )
    return None


def compile_layers(model: nn.Module, choice: str) -> None:
    """Compile the Transformer layers of a model if ``training.compile`` is ``layers``.

    The compiled code works for all lengths. Search and validation run the layers uncompiled,
    because the arguments differ in each of their steps.
    """
    if choice != Compile.LAYERS:
        return
    for layer in model.modules():
        if isinstance(layer, TransformerEncoderLayer | TransformerDecoderLayer):
            forward = _compiled_while_training(layer, layer.forward)
            layer.forward = forward  # type: ignore[method-assign]


def _compiled_while_training(layer: nn.Module, plain: Callable[..., Any]) -> Callable[..., Any]:
    compiled = torch.compile(plain, dynamic=True)

    def forward(*args: Any, **kwargs: Any) -> Any:
        return (compiled if layer.training else plain)(*args, **kwargs)

    return forward
