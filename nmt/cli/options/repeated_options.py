"""Refuses an option that has one value but is given twice; parsers would use the last value."""

from typing import Any

from nmt.errors import UserError


def refuse_repeated_options(command: Any) -> None:
    """Make a command of typer, and all commands below it, refuse repeated options.

    Options that collect values, and flags that only switch something on, may be repeated.

    Args:
        command: A command or a group. It belongs to click or to typer's copy of click, depending
            on the release of typer, so that its type has no public name.
    """
    make_parser = command.make_parser

    def make_strict_parser(context: Any) -> Any:
        parser = make_parser(context)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            result = parse(args=args)
            _check(result[-1])
            return result

        parser.parse_args = parse_args
        return parser

    command.make_parser = make_strict_parser
    for child in getattr(command, "commands", {}).values():
        refuse_repeated_options(child)


def _check(given: list[Any]) -> None:
    """Check the parameters in the order in which they were given.

    Raises:
        UserError: An option with one value is given twice.
    """
    seen: list[Any] = []
    for parameter in given:
        if parameter in seen and _has_one_value(parameter):
            names = "/".join((parameter.opts[-1], *parameter.secondary_opts))
            raise UserError(f"{names} is given more than once, but has one value: give it once")
        seen.append(parameter)


def _has_one_value(parameter: Any) -> bool:
    if parameter.param_type_name != "option" or parameter.multiple:
        return False
    return bool(parameter.secondary_opts) or not (parameter.is_flag or parameter.count)
