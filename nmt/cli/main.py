"""The command `nmt`; each subcommand loads what it needs when it is called."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import nmt
from nmt.cli.bench import bench

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
Layer = Annotated[
    int | None,
    typer.Option(
        help="Decoder layer read, from 0; negative: from the last. [last but one, or the guided]"
    ),
]
Head = Annotated[
    str | None,
    typer.Option(help="Its head, from 0, or mean for the average of all. [mean, or the guided]"),
]
Shift = Annotated[
    bool | None,
    typer.Option(
        "--shift/--no-shift",
        help="Read a target word a step later, when it is the decoder's input. [no, or as guided]",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Also link source words of at least this share of the heaviest one's weight. "
        "[1: the heaviest alone; 0.3 if guided]"
    ),
]


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


@app.command(context_settings=_PASS_ON, short_help="Check, filter and encode a corpus beforehand.")
def prepare(context: typer.Context) -> None:
    """Check, filter and encode a corpus, as nmt train does first (see: nmt prepare --help)."""
    from nmt.cli.prepare import run

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
    sample: Annotated[
        bool,
        typer.Option("--sample", help="Draw translations from the model; no search for the best."),
    ] = False,
    temperature: Annotated[
        float | None, typer.Option(help="Of --sample; below 1 keeps to likely words. [1]")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Of --sample: draw from the likeliest pieces only. [all]")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of --sample; the same seed draws the same. [1]")
    ] = None,
    device: Device = "auto",
) -> None:
    """Translate sentences: one line out for each line in, blank stays blank."""
    from nmt.cli.translate import SampleFlags, TranslateOptions, run

    options = TranslateOptions(
        model,
        beam_size,
        length_penalty,
        batch_size,
        n_best,
        attention,
        device,
        SampleFlags(sample, temperature, top_k, seed),
    )
    run(sentences or [], options)


@app.command(short_help="Average checkpoints into one.")
def average(
    output: Annotated[Path, typer.Option(help="The file to write: a model like any other.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Checkpoints, in place of --model."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="A run folder: its last checkpoints.")
    ] = None,
    last: Annotated[int | None, typer.Option(help="How many of a run's, last.pt counted. [5]")] = (
        None
    ),
) -> None:
    """Average the weights of checkpoints (Vaswani et al. 2017, section 6.1).

    A run keeps as many as training.keep_last says, training.save_every updates apart.
    """
    from nmt.cli.average import run

    run(files or [], model, last, output)


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


@app.command(short_help="Align the words of a translated text, or score alignments.")
def align(
    model: Model,
    source: Annotated[Path, typer.Option(help="Sentences, one a line (or .gz).")],
    target: Annotated[Path, typer.Option(help="Their translations, line by line.")],
    gold: Annotated[
        Path | None,
        typer.Option(help="Gold links, line by line: 0-1 sure, 0p1 possible. Prints error rate."),
    ] = None,
    flip_gold: Annotated[
        bool, typer.Option("--flip-gold", help="The gold has its target words first.")
    ] = False,
    layer: Layer = None,
    head: Head = None,
    shift: Shift = None,
    threshold: Threshold = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Score every layer, head and shift, best first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    batch_size: Annotated[int | None, typer.Option(help="Pairs read together. [run's own]")] = None,
    device: Device = "auto",
) -> None:
    """Align the words of a translated text by the model's attention when forced onto it.

    Prints a line of links a pair, as in 0-0 1-2: source word, target word, counted from 0 as
    spaces separate them. With --gold prints alignment error rate, precision and recall instead.
    """
    from nmt.cli.align import AlignOptions, run
    from nmt.cli.reading import ReadingFlags

    reading = ReadingFlags(layer, head, shift, threshold)
    run(
        AlignOptions(
            model, source, target, gold, flip_gold, reading, compare, as_json, batch_size, device
        )
    )


@app.command(short_help="Show what a model looks at: pictures, a page, numbers, links.")
def attention(
    model: Model,
    sentence: Annotated[
        str | None, typer.Argument(metavar="SENTENCE", help="A sentence to translate.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="Or a file of them, one a line (or .gz).")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Translations to force the model onto, line by line.")
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="<path>",
            help=".png, .svg, .pdf (several sentences: NAME-1.png, ...), .html, .json or .align; "
            "may be given several times. None: links on standard output.",
        ),
    ] = None,
    beam_size: BeamSize = None,
    rank: Annotated[
        int | None, typer.Option(help="Which translation of the beam, 1 the best. [1]")
    ] = None,
    layer: Layer = None,
    head: Head = None,
    shift: Shift = None,
    threshold: Threshold = None,
    grid: Annotated[bool, typer.Option("--grid", help="Draw all layers and heads.")] = False,
    pieces: Annotated[
        bool,
        typer.Option(
            "--pieces", help="Show pieces; else they are joined to words, as links always are."
        ),
    ] = False,
    eos: Annotated[
        bool, typer.Option("--eos/--no-eos", help="Show EOS, or leave it out and renormalise.")
    ] = True,
    batch_size: BatchSize = None,
    device: Device = "auto",
) -> None:
    """Show what a model looks at when it translates a sentence, or is forced onto a translation.

    Without --output prints a line of word links a sentence, as nmt align does; with it, the
    translation.
    """
    from nmt.cli.attention import AttentionOptions, run
    from nmt.cli.reading import ReadingFlags

    run(
        AttentionOptions(
            model=model,
            sentence=sentence,
            source=source,
            reference=reference,
            outputs=output or [],
            beam_size=beam_size,
            rank=rank,
            reading=ReadingFlags(layer, head, shift, threshold),
            grid=grid,
            pieces=pieces,
            eos=eos,
            batch_size=batch_size,
            device=device,
        )
    )


app.add_typer(bench, name="bench", short_help="Measure how fast training and translation are.")

data = typer.Typer(help="Look at training text.", rich_markup_mode=None)
app.add_typer(data, name="data", short_help="Check training text for faults, before training.")


@data.callback()
def _data() -> None:
    pass


@data.command("check", short_help="Find what is wrong with a corpus, and say how to mend it.")
def data_check(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE TARGET | FILE]",
            help="Two files, line i of both a pair; or one of both sides: .tsv, .jsonl, .tmx, ...",
            show_default=False,
        ),
    ] = None,
    valid: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="SOURCE TARGET", help="Validation files.", show_default=False),
    ] = None,
    test: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="SOURCE TARGET", help="Test files.", show_default=False),
    ] = None,
    source_language: Annotated[
        str | None, typer.Option(help="As en. [the end of the file's name: train.en.gz]")
    ] = None,
    target_language: Annotated[str | None, typer.Option(help="As de. [likewise]")] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="CONFIG",
            help="In place of files: a choice of nmt train, as multi30k, or its settings, here in "
            "quotes or behind: --data files data.source_language=en ...",
        ),
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(help="Pieces to ask of the tokenizer. [of files: 3,000, or what they give]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with histograms.")] = None,
) -> None:
    """Find what is wrong with a corpus, where it begins and what to do, and what training costs.

    Exit status: 0 clean, 1 with warnings, 2 where training would be refused.
    """
    from nmt.cli.data_check import DataCheckOptions, run

    languages = source_language, target_language
    status = run(
        DataCheckOptions(arguments or [], valid, test, languages, config, vocab_size, html, as_json)
    )
    raise typer.Exit(status)


def main() -> None:
    """Run the command line; mistakes of the user end in one line and exit status 2."""
    from nmt.cli.error_messages import reported

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
