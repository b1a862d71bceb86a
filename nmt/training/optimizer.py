"""The optimizer: its construction from the settings, and a step that the device can skip."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from nmt.config.schema import (
    AdadeltaConfig,
    AdamConfig,
    AdamWConfig,
    OptimizerConfig,
    SgdConfig,
)
from nmt.kernels import dispatch
from nmt.kernels.private_torch import supports_found_inf


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of the settings, in its fused form where torch has one.

    Weight decay applies only to matrices, not to vectors (biases, normalization gains).
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    learning_rate = config.learning_rate
    match config:
        case AdamConfig(beta1=beta1, beta2=beta2, epsilon=epsilon):
            adam = torch.optim.AdamW if isinstance(config, AdamWConfig) else torch.optim.Adam
            return adam(groups, lr=learning_rate, betas=(beta1, beta2), eps=epsilon, fused=fused)
        case SgdConfig(momentum=momentum):
            return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, fused=fused)
        case AdadeltaConfig(rho=rho, epsilon=epsilon):
            return torch.optim.Adadelta(
                groups, lr=learning_rate, rho=rho, eps=epsilon, foreach=True
            )
    raise AssertionError(f"no optimizer for {config}")


def state_names(optimizer: torch.optim.Optimizer) -> tuple[str, ...]:
    """Return the names of the values that an optimizer keeps for each parameter."""
    if isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        return "step", "exp_avg", "exp_avg_sq"
    if isinstance(optimizer, torch.optim.Adadelta):
        return "step", "square_avg", "acc_delta"
    return ("momentum_buffer",)


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Return the bytes of this process that the first steps will allocate and keep.

    Each value of `state_names` has the shape of its parameter, except the number of steps. Values
    that are already allocated do not count.
    """
    names = set(state_names(optimizer)) - {"step"}
    total = 0
    for group in optimizer.param_groups:
        if "momentum_buffer" in names and not group["momentum"]:
            continue
        for parameter in group["params"]:
            local = parameter.to_local() if isinstance(parameter, DTensor) else parameter
            missing = names - set(optimizer.state.get(parameter, {}))
            total += len(missing) * local.nbytes
    return total


def with_own_settings(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved state with this optimizer's settings instead of the saved ones.

    Args:
        optimizer: An optimizer of the same parameters.
        saved: A `state_dict` of an optimizer, checked by `nmt.training.checkpoints.saved_state`.
    """
    names = state_names(optimizer)
    state = {
        number: {
            name: value.contiguous() if isinstance(value, Tensor) else value
            for name, value in values.items()
            if name in names
        }
        for number, values in saved["state"].items()
    }
    return {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}


def can_clip(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether a step can divide the gradients, which saves a pass over them.

    On a GPU, each pass needs at least one launch. Gradients on a CPU and shards of gradients are
    clipped before the step instead.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    plain = not any(isinstance(p, DTensor) or dispatch.on_cpu(p) for p in parameters)
    return plain and supports_found_inf(optimizer)


def clip_divisor(norm: Tensor, max_norm: float | None) -> Tensor | None:
    """Return the divisor that clips a gradient as `torch.nn.utils.clip_grad_norm_` does.

    Args:
        norm: The norm of the gradient, a scalar on its device.
        max_norm: The largest norm; None disables clipping.
    """
    if max_norm is None:
        return None
    return ((norm.float() + 1e-6) / max_norm).clamp_min(1)


def make_step(optimizer: torch.optim.Optimizer) -> None:
    """Make an optimizer step.

    Torch's fused SGD fails if some parameters have no momentum buffer yet, e.g. because layers were
    dropped in the first update. So missing buffers are created first.
    """
    _init_momentum(optimizer)
    optimizer.step()


def step_unless(
    optimizer: torch.optim.Optimizer, skip: Tensor, divisor: Tensor | None = None
) -> None:
    """Make an optimizer step that changes nothing if ``skip`` is True, without a host read.

    `torch.amp.GradScaler` uses the same interface: the attributes ``found_inf`` and ``grad_scale``
    of the optimizer. If the first step is skipped, the state is zeros, which is equivalent to no
    state.

    Args:
        optimizer: An optimizer for which `supports_found_inf` is True.
        skip: Bool scalar on the parameters' device.
        divisor: Scalar by which the step divides the gradients; None: 1.
    """
    _init_momentum(optimizer)
    attributes = vars(optimizer)
    attributes["grad_scale"], attributes["found_inf"] = divisor, skip.float()
    try:
        optimizer.step()
    finally:
        del attributes["grad_scale"], attributes["found_inf"]


def _init_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Set missing momentum buffers to zero.

    A skipped first step of torch's fused SGD would leave its new buffers uninitialized.
    """
    for group in optimizer.param_groups:
        if not group.get("momentum"):
            continue
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if parameter.grad is not None and state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter)
