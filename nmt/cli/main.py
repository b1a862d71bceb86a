"""The command `nmt`; each subcommand loads what it needs when it is called."""

from typing import Annotated

import typer

import nmt

app = typer.Typer(
    help="Train, evaluate and inspect translation models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nmt {nmt.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command(context_settings=_PASS_ON)
def train(context: typer.Context) -> None:
    """Train a model, test it and report: a Hydra application (see: nmt train --help)."""
    from nmt.cli.train import run

    run(context.args)


def main() -> None:
    """Run the command line; mistakes of the user end in one line and exit status 2."""
    from nmt.cli.errors import reported

    with reported():
        app()
