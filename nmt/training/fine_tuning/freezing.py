"""Frozen parameters, which keep their initial values."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from nmt.errors import UserError

_DEPTH = 2  # of module names listed when a pattern matches nothing


def freeze(model: nn.Module, patterns: Sequence[str]) -> int:
    """Exclude parameters from training, and return the number of their elements.

    A frozen parameter has no gradient, no weight decay and no state in an optimizer that is built
    afterwards. A shared parameter is frozen if any of its names matches.

    Args:
        model: The model; its parameters are changed in place.
        patterns: Names of modules or parameters, with ``*`` as a wildcard: ``encoder``,
            ``decoder.embedding``, ``*.norm*``.

    Raises:
        UserError: A pattern matches nothing, or no trainable parameter is left.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        chosen = [parameter for name, parameter in named if _matches(name, pattern)]
        if not chosen:
            raise UserError(
                f"training.freeze: {pattern!r} matches no part of the model; it has "
                f"{', '.join(_module_names(model))}; name one of them, a part of one, "
                "or a pattern such as '*.norm*'"
            )
        for parameter in chosen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(
            f"training.freeze={list(patterns)} leaves nothing to train: remove a pattern"
        )
    return sum(p.numel() for p in model.parameters() if not p.requires_grad)


def _matches(name: str, pattern: str) -> bool:
    """Return whether a pattern names a parameter or a module that contains it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _module_names(model: nn.Module) -> list[str]:
    """Return the names of the modules that have parameters, down to a depth of `_DEPTH`."""
    names: dict[str, None] = {}
    for name, _ in model.named_parameters(remove_duplicate=False):
        path = name.split(".")[:-1]
        names |= dict.fromkeys(".".join(path[:depth]) for depth in range(1, _DEPTH + 1))
    return list(names)
