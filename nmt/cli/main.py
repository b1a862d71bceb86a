"""The command `nmt`: assembles the subcommands, and turns errors into exit statuses.

Each file of this package declares one subcommand. Its function imports what it needs when it is
called, so that `nmt --help` loads neither torch nor Hydra.
"""

import sys
from typing import Annotated, Any

import typer

import nmt
from nmt import loading_phase
from nmt.cli.align import align
from nmt.cli.attention import attention
from nmt.cli.average import average
from nmt.cli.bench import bench
from nmt.cli.compare import compare
from nmt.cli.data_check import data_check
from nmt.cli.evaluate import evaluate
from nmt.cli.export import export
from nmt.cli.pack import pack
from nmt.cli.path_arguments import refuse_impossible_paths
from nmt.cli.prepare import prepare
from nmt.cli.repeated_options import refuse_repeated_options
from nmt.cli.report import report
from nmt.cli.score import score
from nmt.cli.shell_completion import completion
from nmt.cli.standard_streams import standard_streams
from nmt.cli.train import train
from nmt.cli.translate import translate
from nmt.cli.usage import explain_usage, usual_arguments
from nmt.process_exit import exit_on_error

# Typer's class of usage errors; depending on its release it comes from click or a copy of it.
_UsageError: Any = typer.BadParameter.__mro__[1]
_HELP: Any = {"help_option_names": ["--help", "-h"]}
_HYDRA = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Passes all arguments, --help included, on to commands that take Hydra's overrides."""

app = typer.Typer(
    help="Train, evaluate and inspect translation models.",
    context_settings=_HELP,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data = typer.Typer(help="Inspect training text.", rich_markup_mode=None)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"nmt {nmt.__version__}")
        raise typer.Exit


@app.callback()
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


@data.callback()
def _data() -> None:
    pass


app.command(context_settings=_HYDRA, short_help="Train a model, test it and report.")(train)
app.command(context_settings=_HYDRA, short_help="Check, filter and encode a corpus in advance.")(
    prepare
)
app.command(short_help="Translate sentences, one per line.")(translate)
app.command(short_help="Average checkpoints into one model.")(average)
app.command(short_help="Score runs or files of translations, and compare them.")(evaluate)
app.command(short_help="Show runs side by side in one table.")(compare)
app.command(short_help="Write the page of a run, or of several runs side by side.")(report)
app.command(short_help="Print the log-probability of given translations.")(score)
app.command(short_help="Align the words of a translated text, or score alignments.")(align)
app.command(short_help="Show a model's attention: pictures, a page, numbers, links.")(attention)
app.command(short_help="Write a model for CTranslate2, Hugging Face, ONNX or as safetensors.")(
    export
)
app.command(short_help="Write a model as one small file that translates anywhere.")(pack)
app.add_typer(bench, name="bench", short_help="Measure the speed of training and translation.")
app.add_typer(data, name="data", short_help="Find problems in training text before training.")
app.command(short_help="Print the code that completes words in bash, zsh or fish.")(completion)
data.command("check", short_help="Find problems in a corpus, with their remedies.")(data_check)
for group in (app, bench, data):
    refuse_impossible_paths(group)


def main() -> None:
    """Run the command line; an error of the user is one line and exit status 2."""
    with exit_on_error(), standard_streams():
        loading_phase.begin()  # a command ends it when it has loaded what it needs
        sys.exit(_run_command(usual_arguments(sys.argv[1:])))


def _run_command(arguments: list[str]) -> int:
    """Run a command as typer would, but pass all errors to the caller; return the exit status."""
    command = typer.main.get_command(app)
    refuse_repeated_options(command)
    try:
        with command.make_context("nmt", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as ending:
        return ending.exit_code
    except _UsageError as error:
        raise explain_usage(error, arguments) from error
    return 0
