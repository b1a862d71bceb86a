"""The options of `nmt attention`, and the check of their combinations."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.context_attention import check_context_options
from nmt.cli.faithfulness import check_faithfulness_outputs
from nmt.cli.options.alignment_options import AlignmentOptions
from nmt.cli.options.picture_options import PictureOptions
from nmt.errors import UserError

Sentence = Annotated[
    str | None, typer.Argument(metavar="SENTENCE", help="A sentence to translate.")
]
Source = Annotated[
    Path | None,
    typer.Option(help="A file of sentences, one per line, instead of SENTENCE; may be .gz."),
]
Reference = Annotated[
    Path | None,
    typer.Option(help="Translations that the model is forced to produce, line by line."),
]
Outputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        metavar="<path>",
        help="A .png, .svg or .pdf file (NAME-1.png, ... for several sentences), .html, .json or "
        ".align; may be repeated. Without it, links go to standard output.",
    ),
]
Rank = Annotated[
    int | None, typer.Option(help="Which translation of the search to show; 1 is the best. [1]")
]
Grid = Annotated[bool, typer.Option("--grid", help="Draw all layers and heads.")]
Pieces = Annotated[
    bool,
    typer.Option("--pieces", help="Show subword pieces instead of words; links are always words."),
]
RegionsShown = Annotated[
    bool,
    typer.Option(
        "--regions",
        help=(
            "Show the attention to the regions of --features instead of the attention to the text."
        ),
    ),
]
ContextShown = Annotated[
    bool,
    typer.Option(
        "--context",
        help="For a model with model.encoder.context=hierarchical or "
        "model.decoder.context=hierarchical: show the attention of a sentence to the words of each "
        "previous sentence, and to these sentences. For the decoder, the previous target sentences "
        "are the model's translations. A blank line of --source ends a document.",
    ),
]
Faithful = Annotated[
    bool,
    typer.Option(
        "--faithfulness",
        help=(
            "Compare the attention weights with other measures of importance. Also change the "
            "weights, to test whether the predictions depend on them. --output FILE.html shows the "
            "measures side by side."
        ),
    ),
]
Kinds = Annotated[
    bool,
    typer.Option(
        "--kinds",
        help=(
            "Show what each kind of self-attention attends to, costs and loses. This needs no "
            "model. --output FILE.html writes a page, and FILE.svg a picture for each kind."
        ),
    ),
]
Eos = Annotated[
    bool,
    typer.Option(
        "--eos/--no-eos", help="Show the end mark EOS, or omit it and scale rows to sum to 1."
    ),
]


@dataclass(frozen=True)
class AttentionOptions:
    """The options of the command that are checked together; None selects the default."""

    sentence: str | None
    source: Path | None
    reference: Path | None
    outputs: Sequence[Path]
    beam_size: int | None
    rank: int | None
    alignment: AlignmentOptions
    grid: bool
    pieces: bool
    eos: bool
    faithfulness: bool
    features: Path | None
    regions: bool
    pictures: PictureOptions
    context: bool


def check_options(options: AttentionOptions) -> None:
    """Check the combination of options.

    Raises:
        UserError: An option is missing, or does not apply.
    """
    options.alignment.check()
    if options.sentence is not None and options.source is not None:
        raise UserError("give either a sentence or --source FILE, not both")
    if options.sentence is None and options.source is None:
        raise UserError("there is no sentence: give one as an argument, or a file by --source")
    if options.regions and options.features is None:
        raise UserError("--regions shows the regions of features: add --features FILE")
    drawn = any(path.suffix.lower() in (".png", ".svg", ".pdf") for path in options.outputs)
    options.pictures.check(regions=options.regions, drawn=drawn)
    if options.faithfulness:
        _check_faithfulness(options)
    elif options.context:
        _check_context(options)
    elif not options.outputs and (options.pieces or not options.eos):
        flag = "--pieces" if options.pieces else "--no-eos"
        raise UserError(f"{flag} applies only to files: add --output FILE")
    if options.grid and (options.alignment.layer, options.alignment.head) != (None, None):
        raise UserError("--grid draws all layers and heads: leave out --layer and --head")
    if options.rank is not None and options.rank < 1:
        raise UserError(f"--rank is {options.rank}; it must be at least 1, the best translation")
    if options.reference is not None:
        for flag, given in (("--rank", options.rank), ("--beam-size", options.beam_size)):
            if given is not None:
                raise UserError(f"{flag} applies to a search, but --reference gives the target")


def check_kinds_options(options: AttentionOptions, model: Path | None) -> None:
    """Check the options beside --kinds.

    Raises:
        UserError: An option does not apply.
    """
    given = {
        "--model": model,
        "SENTENCE": options.sentence,
        "--source": options.source,
        "--reference": options.reference,
        "--faithfulness": options.faithfulness or None,
        "--grid": options.grid or None,
    }
    for name, value in given.items():
        if value is not None:
            raise UserError(f"--kinds needs no model and no text: leave out {name}")


def _check_context(options: AttentionOptions) -> None:
    others = {
        "--reference": options.reference is not None,
        "--rank": options.rank is not None,
        "--beam-size": options.beam_size is not None,
        "--grid": options.grid,
        "--features": options.features is not None,
    }
    check_context_options(options.outputs, options.alignment, others)


def _check_faithfulness(options: AttentionOptions) -> None:
    given = {
        "--grid": options.grid,
        "--no-eos": not options.eos,
        "--shift": options.alignment.shift,
        "--threshold": options.alignment.threshold is not None,
        "--rank": options.rank is not None,
        "--features": options.features is not None,
        "--context": options.context,
    }
    for flag, is_given in given.items():
        if is_given:
            raise UserError(f"{flag} does not apply to --faithfulness, which compares all pieces")
    check_faithfulness_outputs(options.outputs)
