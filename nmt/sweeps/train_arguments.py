"""The command line of `nmt train`: overrides and Hydra's flags, in any order."""

from argparse import Namespace
from collections.abc import Sequence
from typing import NoReturn

from hydra._internal.utils import get_args_parser

from nmt.errors import UserError
from nmt.process_exit import under_torchrun
from nmt.sweeps.overrides import quote_value
from nmt.sweeps.sweep_overrides import (
    defer_to_jobs,
    refuse_one_folder,
    rename_compare,
    sweep_name,
)


def parse_arguments(arguments: Sequence[str]) -> Namespace:
    """Return Hydra's flags and the unchanged ``overrides``; refuse unknown flags.

    Raises:
        UserError: Hydra has no such flag, or a flag lacks its value.
    """

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{message}; see nmt train --help")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_intermixed_args(arguments)


def overrides_first(arguments: Sequence[str]) -> list[str]:
    """Rewrite the overrides for Hydra and move flags after them; refuse unknown flags.

    Raises:
        UserError: A flag is unknown, or a sweep is impossible.
    """
    parsed = parse_arguments(arguments)
    if parsed.multirun and under_torchrun():
        raise UserError("torchrun starts the processes of one training; start a sweep without it")
    flags = [argument for argument in arguments if argument not in parsed.overrides]
    overrides = list(map(quote_value, map(rename_compare, parsed.overrides)))
    if not parsed.multirun:
        return [*overrides, *flags]
    refuse_one_folder(overrides)
    named = any(override.startswith("hydra.job.name=") for override in overrides)
    name = [] if named else [f"hydra.job.name={sweep_name(overrides)}"]
    return [*defer_to_jobs(overrides), *name, *flags]
