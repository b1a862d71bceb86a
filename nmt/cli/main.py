"""The command `nmt`; each subcommand loads what it needs when it is called."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import nmt

app = typer.Typer(
    help="Train, evaluate and inspect translation models.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

# Typer's own usage error, whichever copy of click this release of it was built on.
_UsageError: Any = typer.BadParameter.__mro__[1]
_PASS_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


Model = Annotated[
    Path,
    typer.Option(
        "--model", help="A run folder, or a file of its checkpoints/.", show_default=False
    ),
]
BeamSize = Annotated[int | None, typer.Option(help="Hypotheses kept; 1 is greedy. [run's own]")]
LengthPenalty = Annotated[
    float | None, typer.Option(help="Alpha of Wu et al. 2016; higher favours longer. [run's own]")
]
BatchSize = Annotated[int | None, typer.Option(help="Sentences searched together. [run's own]")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]


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


@app.command(context_settings=_PASS_ON, short_help="Train a model, test it and report.")
def train(context: typer.Context) -> None:
    """Train a model, test it and report: a Hydra application (see: nmt train --help)."""
    from nmt.cli.train import run

    run(context.args)


@app.command(short_help="Translate sentences, one line for each.")
def translate(
    model: Model,
    sentences: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SENTENCE]...", help="Sentences; none: standard input, by line."),
    ] = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    n_best: Annotated[
        int, typer.Option(help="Hypotheses shown; above 1 as score<TAB>text lines.")
    ] = 1,
    attention: Annotated[
        Path | None,
        typer.Option(help="Draw the attention of one sentence into this .png, .svg or .pdf."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Translate sentences: one line out for each line in, blank stays blank."""
    from nmt.cli.translate import TranslateOptions, run

    options = TranslateOptions(
        model, beam_size, length_penalty, batch_size, n_best, attention, device
    )
    run(sentences or [], options)


@app.command(short_help="Score a model on a file, with signatures.")
def evaluate(
    model: Model,
    source: Annotated[Path, typer.Option(help="Sentences to translate, one a line (or .gz).")],
    reference: Annotated[Path, typer.Option(help="Their translations by people, line by line.")],
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a model on a file: BLEU, chrF and TER with their sacreBLEU signatures."""
    from nmt.cli.evaluate import run

    run(
        model,
        source,
        reference,
        beam_size=beam_size,
        length_penalty=length_penalty,
        batch_size=batch_size,
        device=device,
        as_json=as_json,
    )


def main() -> None:
    """Run the command line; mistakes of the user end in one line and exit status 2."""
    from nmt.cli.errors import reported

    with reported():
        status = _call(sys.argv[1:] or ["--help"])
        sys.stdout.flush()  # while a reader that has gone can still be told from a failure
        sys.exit(status)


def _call(arguments: list[str]) -> int:
    """Run a command as typer would, but leave every error to the caller; return the status."""
    from nmt.errors import UserError

    command = typer.main.get_command(app)
    try:
        with command.make_context("nmt", list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as ending:
        return ending.exit_code
    except _UsageError as error:
        path = error.ctx.command_path if error.ctx else "nmt"
        raise UserError(f"{error.format_message().rstrip('.')}; see {path} --help") from error
    return 0
