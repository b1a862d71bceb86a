"""Which parameters keep their first values."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from nmt.errors import UserError

_DEPTH = 2  # of the modules named where a pattern matches nothing


def freeze(model: nn.Module, patterns: Sequence[str]) -> int:
    """Take parameters out of training and return how many numbers they hold.

    A frozen parameter gets no gradient, no weight decay and no state in an optimizer that is built
    afterwards. One that several modules share is frozen if any of its names is.

    Args:
        model: Whose parameters.
        patterns: Modules or parameters by name, ``*`` for any part of it: ``encoder``,
            ``decoder.embedding``, ``*.norm*``.

    Raises:
        UserError: A pattern matches nothing, or nothing is left to train.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        chosen = [parameter for name, parameter in named if _matches(name, pattern)]
        if not chosen:
            raise UserError(
                f"training.freeze: {pattern!r} is no part of the model; there are "
                f"{', '.join(_parts(model))}, their parts, and patterns such as '*.norm*'"
            )
        for parameter in chosen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(
            f"training.freeze={list(patterns)} leaves nothing to train: take a pattern away"
        )
    return sum(p.numel() for p in model.parameters() if not p.requires_grad)


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a parameter or a module around it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _parts(model: nn.Module) -> list[str]:
    """Return the names of the modules at the top that have parameters."""
    names: dict[str, None] = {}
    for name, _ in model.named_parameters(remove_duplicate=False):
        path = name.split(".")[:-1]
        names |= dict.fromkeys(".".join(path[:depth]) for depth in range(1, _DEPTH + 1))
    return list(names)
