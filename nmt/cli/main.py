"""The command `nmt`: assembles the subcommands, and turns errors into exit statuses.

Each file of this package declares one subcommand. Its function imports other modules only when it
is called, so `nmt --help` loads neither torch nor Hydra. A command loads only its own file.
"""

import sys
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer

import nmt
from nmt import loading_phase
from nmt.cli.options.path_arguments import refuse_impossible_paths
from nmt.cli.options.repeated_options import refuse_repeated_options
from nmt.cli.options.usage import explain_usage, usual_arguments
from nmt.cli.standard_streams import standard_streams
from nmt.process_exit import exit_on_error

# Typer's class of usage errors; depending on its release it comes from click or a copy of it.
_UsageError: Any = typer.BadParameter.__mro__[1]
_HELP: Any = {"help_option_names": ["--help", "-h"]}
_HYDRA = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Passes all arguments, --help included, to the commands that take Hydra's overrides."""

_COMMANDS = {  # the name is also that of the function and its file, except in `_FILES`
    "train": "Train a model, test it and report.",
    "prepare": "Check, filter and encode a corpus in advance.",
    "translate": "Translate sentences, one per line.",
    "average": "Average checkpoints into one model.",
    "evaluate": "Score runs or files of translations, and compare them.",
    "compare": "Show runs side by side in one table.",
    "report": "Write the page of a run, or of several runs side by side.",
    "score": "Print the log-probability of given translations.",
    "align": "Align the words of a translated text, or score alignments.",
    "attention": "Show a model's attention: pictures, a page, numbers, links.",
    "export": "Write a model for CTranslate2, Hugging Face, ONNX or as safetensors.",
    "shortlist": "Learn which pieces translate a sentence, for a faster search.",
    "pack": "Write a model as one file without the state of its training.",
    "bench": "Measure the speed of training and translation.",
    "data": "Find problems in training text before training.",
    "completion": "Print the code that completes words in bash, zsh or fish.",
}
_FILES = {"data": "data_check", "completion": "shell_completion"}
_OF_SETTINGS = ("train", "prepare")


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"nmt {nmt.__version__}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            help="Show the version and exit.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    pass


@cache
def command_line(command: str | None = None) -> typer.Typer:
    """Return the whole command line, or only one command.

    Args:
        command: The name of the only command, whose file is then the only one that is imported.
            None or an unknown name: all commands.
    """
    app = typer.Typer(
        help="Train, evaluate and inspect translation models.",
        context_settings=_HELP,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_common)
    for name in [command] if command in _COMMANDS else _COMMANDS:
        _add(app, name)
    refuse_impossible_paths(app)
    return app


def _add(app: typer.Typer, name: str) -> None:
    file = import_module(f"nmt.cli.{_FILES.get(name, name)}")
    found, words = getattr(file, name), _COMMANDS[name]
    if isinstance(found, typer.Typer):
        refuse_impossible_paths(found)
        app.add_typer(found, name=name, short_help=words)
    else:
        settings = _HYDRA if name in _OF_SETTINGS else None
        app.command(context_settings=settings, short_help=words)(found)


def __getattr__(name: str) -> Any:
    if name == "app":
        return command_line()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command line; an error of the user is one line and exit status 2."""
    with exit_on_error(), standard_streams():
        loading_phase.begin()  # each command ends this phase after it has loaded its libraries
        sys.exit(_run_command(usual_arguments(sys.argv[1:])))


def _run_command(arguments: list[str]) -> int:
    """Run a command as typer would, but pass all errors to the caller; return the exit status."""
    command = typer.main.get_command(command_line(arguments[0]))
    refuse_repeated_options(command)
    try:
        with command.make_context("nmt", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as ending:
        return ending.exit_code
    except _UsageError as error:
        raise explain_usage(error, arguments) from error
    return 0
