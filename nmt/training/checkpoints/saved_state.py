"""Checks the training state of a checkpoint, which may be damaged, before a run resumes from it.

A wrong value would stop the run in its first update, or spoil the weights of later checkpoints.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from nmt.config.checks.check_ranges import shown
from nmt.config.schema import Config
from nmt.config.training_settings import BatchShapes, Precision
from nmt.errors import UserError
from nmt.training.optimizer import build_optimizer, state_names
from nmt.training.training_progress import TrainingProgress

_LARGEST = (1 << 63) - 1
_MOST_SECONDS = 1e12
_AT_MOST_ONE_PER_UPDATE = (
    *("update", "epoch", "position", "best_update", "without_gain", "reductions"),
    *("validated_update", "skipped_updates", "skipped_in_row", "rewinds"),
)
_SQUARES = ("exp_avg_sq", "square_avg", "acc_delta")
"""Entries of an optimizer that are means of squares."""

_PARTS = ("progress", "optimizer", "random")
_TEXT_LENGTH = 1000
_SHORT = 200


def check_state(
    weights: Mapping[str, Tensor],
    state: Mapping[str, Any],
    update: int,
    model: nn.Module,
    config: Config,
) -> None:
    """Check that a run can resume from weights and a training state.

    Args:
        weights: The weights by name.
        state: The training state, which may have any content.
        update: The number of updates that the checkpoint names.
        model: The run's model, before it is sharded. Its frozen parameters do not require a
            gradient.
        config: The run's configuration.

    Raises:
        UserError: It names the first entry that does not fit.
    """
    for part in _PARTS:
        if not isinstance(state.get(part), Mapping):
            raise UserError(f"{part} is {_brief(state.get(part))}, not a mapping")
    _check_weights(weights, model.state_dict())
    check_progress(state["progress"], update)
    _check_optimizer(state["optimizer"], build_optimizer(config.optimizer, model))
    if config.training.ema_decay is not None:
        _check_average(state.get("average"), list(model.parameters()))
    _check_engine(state.get("engine", {}))
    _check_random(state["random"])


def check_progress(progress: Mapping[str, Any], update: int) -> None:
    """Check the progress of a run; values that an old file lacks get their defaults.

    Args:
        progress: The saved progress, which may have any content.
        update: The number of updates that the checkpoint names.

    Raises:
        UserError: It names the first value that is not possible.
    """
    known = {field.name for field in fields(TrainingProgress)}
    for name, value in progress.items():
        if name not in known:
            raise UserError(f"progress has an entry {shown(name)}, which does not belong there")
        allowed = _allowed(name, update)
        if not allowed[0](value):
            raise UserError(f"progress.{name} is {_brief(value)}; it has to be {allowed[1]}")
    if progress.get("update") != update:
        raise UserError(
            f"progress.update is {_brief(progress.get('update'))}, but the checkpoint is of "
            f"update {update}"
        )


def _allowed(name: str, update: int) -> tuple[Callable[[Any], bool], str]:
    """Return a function that checks a value of the progress, and the allowed values in words."""
    whole = "a whole number"
    if name in _AT_MOST_ONE_PER_UPDATE:
        return lambda value: _is_count(value, 0, update), f"{whole} from 0 to {update}"
    match name:
        case "tokens" | "skipped_pairs":
            return lambda value: _is_count(value, 0, _LARGEST), f"{whole}, at least 0"
        case "pass_limit" | "batch_tokens":
            return (
                lambda value: value is None or _is_count(value, 1, _LARGEST),
                f"{whole}, at least 1, or None",
            )
        case "seconds" | "validation_seconds":
            return lambda value: _is_number(value, 0, _MOST_SECONDS), "a number of seconds"
        case "best_score" | "best_loss":
            return lambda value: value is None or _is_number(value), "a number or None"
        case "rate_scale":
            return (
                lambda value: _is_number(value, 0, 1) and value > 0,
                "above 0 and at most 1",
            )
        case "precision":
            names = ("", *(name.value for name in Precision if name != Precision.AUTO))
            return lambda value: isinstance(value, str) and value in names, "a dtype"
        case "batch_shapes":
            shapes = [shape.value for shape in BatchShapes if shape != BatchShapes.AUTO]
            return (
                lambda value: isinstance(value, str) and value in shapes,
                f"one of {', '.join(shapes)}",
            )
    return lambda value: isinstance(value, str) and len(value) <= _TEXT_LENGTH, "a short text"


def _is_count(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_number(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """Return whether a value is a number between two bounds; nan is not."""
    return type(value) in (int, float) and least <= value <= most


def _check_weights(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    for name in (*own, *weights):
        if name not in weights or name not in own:
            where = "is missing" if name not in weights else "does not belong to the model"
            raise UserError(f"the weight {shown(name)} {where}")
        _check_shape(f"the weight {name}", weights[name], own[name])
        _check_finite(f"the weight {name}", weights[name])


def _check_shape(entry: str, tensor: Any, like: Tensor) -> None:
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        raise UserError(f"{entry} is {_brief(tensor)}, not a tensor of floating-point numbers")
    if tensor.shape != like.shape:
        raise UserError(
            f"{entry} has the shape {shown(list(tensor.shape))}, not {list(like.shape)}"
        )


def _check_finite(entry: str, tensor: Tensor) -> None:
    if not bool(tensor.isfinite().all()):
        raise UserError(f"{entry} has values that are not finite")


def _brief(value: Any) -> str:
    if isinstance(value, Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return f"a tensor of {dtype}" if value.dim() else f"{value.item()} ({dtype})"
    if isinstance(value, list | tuple | Mapping):
        return f"a {type(value).__name__} of {len(value)}"
    return shown(value)[:_SHORT]


def _check_optimizer(saved: Mapping[str, Any], own: torch.optim.Optimizer) -> None:
    """Check the state of each parameter; the saved settings of the optimizer are not used."""
    expected = own.state_dict()["param_groups"]
    groups, states = saved.get("param_groups"), saved.get("state")
    ids = [group["params"] for group in expected]
    if (
        not isinstance(groups, list | tuple)
        or not all(isinstance(group, Mapping) for group in groups)
        or [_as_list(group.get("params")) for group in groups] != ids
    ):
        raise UserError("optimizer.param_groups does not have the parameters of the model")
    if not isinstance(states, Mapping):
        raise UserError(f"optimizer.state is {_brief(states)}, not a mapping")
    parameters = dict(enumerate(p for group in own.param_groups for p in group["params"]))
    for number, state in states.items():
        entry = f"optimizer.state[{shown(number)}]"
        if type(number) is not int or number not in parameters:
            raise UserError(f"{entry} belongs to no parameter")
        if not isinstance(state, Mapping):
            raise UserError(f"{entry} is {_brief(state)}, not a mapping")
        for name in state_names(own) if state else ():
            _check_entry(f"{entry}.{name}", name, state.get(name), parameters[number])


def _as_list(value: Any) -> Any:
    """Return a sequence of whole numbers as a list, and anything else as None."""
    whole = isinstance(value, list | tuple) and all(type(number) is int for number in value)
    return list(value) if whole else None


def _check_entry(entry: str, name: str, value: Any, parameter: Tensor) -> None:
    """Check one entry of the state of one parameter."""
    if name == "momentum_buffer" and value is None:
        return  # before the first step
    if name == "step":
        is_number = isinstance(value, Tensor) and value.dim() == 0 and value.is_floating_point()
        if not is_number or not _is_number(value.item(), 0, _LARGEST):
            raise UserError(f"{entry} is {_brief(value)}, not a number of steps")
        return
    _check_shape(entry, value, parameter)
    # A mean of squares may overflow to infinity; the steps of this weight are then 0.
    if name not in _SQUARES:
        _check_finite(entry, value)
    elif not bool((value >= 0).all()):
        raise UserError(f"{entry}, a mean of squares, has values that are not at least 0")


def _check_average(average: Any, parameters: Sequence[Tensor]) -> None:
    if not isinstance(average, list | tuple) or len(average) != len(parameters):
        raise UserError(
            f"average, the moving average of {len(parameters)} weights, is {_brief(average)}"
        )
    for number, (own, parameter) in enumerate(zip(average, parameters, strict=True)):
        _check_shape(f"average[{number}]", own, parameter)
        _check_finite(f"average[{number}]", own)


def _check_engine(engine: Any) -> None:
    if engine == {}:
        return
    if (
        not isinstance(engine, Mapping)
        or not _is_number(engine.get("scale"), 0, 2.0**127)
        or not engine["scale"] > 0
        or not _is_count(engine.get("good"), 0, _LARGEST)
    ):
        raise UserError(f"engine, the scale of the loss, is {_brief(engine)}")


def _check_random(random: Mapping[str, Any]) -> None:
    for name in ("cpu", *({"device"} & random.keys())):
        value = random.get(name)
        if not isinstance(value, Tensor) or value.dtype != torch.uint8 or value.dim() != 1:
            raise UserError(f"random.{name} is {_brief(value)}, not a state of random numbers")
    try:
        torch.Generator().set_state(random["cpu"])
    except RuntimeError:
        raise UserError("random.cpu is not a state of random numbers") from None
