"""`nmt translate`: sentences in; on stdout only translations, one line per input line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.common_options import (
    BatchSize,
    BeamSize,
    Device,
    LengthPenalty,
    Model,
    SearchPrecision,
)
from nmt.cli.document_flags import DocumentFlags
from nmt.cli.line_choices import LineErrors
from nmt.cli.option_groups import with_groups
from nmt.cli.translate_options import SearchOptions, TextOptions
from nmt.decoding.line_lengths import LongLines
from nmt.reporting.command_progress import CommandProgress

if TYPE_CHECKING:
    from nmt.checkpoint import Checkpoint
    from nmt.decoding.translator import Translator

Sentences = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SENTENCE]...", help="Sentences; without any, each line of standard input is one."
    ),
]
Input = Annotated[
    Path | None,
    typer.Option(
        "--input",
        help="Translate a file, which may be .gz, .bz2, .xz or .zst; - is standard input. A .tsv, "
        ".jsonl, .tmx, .xliff, .po, .srt, .vtt, .md or .html file keeps its structure; each line "
        "of another one is a sentence.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        help="Write to a file instead of standard output. Lines and records are written as they "
        "are translated; another document replaces the file once it is complete."
    ),
]
Errors = Annotated[
    LineErrors,
    typer.Option(
        help="If a line is not UTF-8: stop after the lines before it; put U+FFFD in place of its "
        "faulty bytes; or leave its output line empty."
    ),
]
LongLine = Annotated[
    LongLines,
    typer.Option(
        help="A line longer than --max-length: cut it at sentence ends and join the translations; "
        "apply --errors to it; or translate it whole, which often loses text."
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        help="A line with more pieces than this is long; see --long-lines. [data.max_length of the "
        "run]",
    ),
]
NBest = Annotated[
    int,
    typer.Option(
        help="Number of different translations per sentence; above 1, each is printed as a line "
        "score<TAB>translation."
    ),
]
AttentionFile = Annotated[
    Path | None,
    typer.Option(help="Also draw the attention of one sentence to this .png, .svg or .pdf file."),
]
Sample = Annotated[
    bool,
    typer.Option(
        "--sample", help="Sample translations from the model instead of searching for the best."
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(help="With --sample: below 1 favors likely words, above 1 unlikely ones. [1]"),
]
TopK = Annotated[
    int | None,
    typer.Option(help="With --sample: draw only from the K most likely pieces. [all pieces]"),
]
TopP = Annotated[
    float | None,
    typer.Option(
        help="With --sample: draw only from the most likely pieces with this probability in total, "
        "after --temperature and --top-k. [1: all pieces]"
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="With --sample: the same seed gives the same translations. [1]"),
]


def _begin(progress: CommandProgress) -> None:
    """Begin to translate: Ctrl-C becomes an exception, and the progress line is erased."""
    loading_phase.end()
    progress.clear()


@with_groups
def translate(
    model: Model,
    sentences: Sentences = None,
    source: Input = None,
    output: Output = None,
    errors: Errors = LineErrors.STRICT,
    long_lines: LongLine = LongLines.SPLIT,
    max_length: MaxLength = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    n_best: NBest = 1,
    attention: AttentionFile = None,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    device: Device = "auto",
    precision: SearchPrecision = "auto",
    document: DocumentFlags = DocumentFlags(),  # noqa: B008
) -> None:
    """Translate sentences: one output line per input line; a blank line stays blank.

    Lines that have arrived are translated together, and their translations are written at once.
    """
    text = TextOptions(sentences or [], source, output, errors, long_lines, max_length, attention)
    search = SearchOptions(beam_size, n_best, sample, temperature, top_k, top_p, seed)
    document.check(text, search)
    with CommandProgress() as progress:
        progress.show("loading", model)
        from nmt.checkpoint import find_checkpoint, load_checkpoint
        from nmt.cli.translate_text import translate_text
        from nmt.decoding.translator import Translator

        def load() -> "tuple[Checkpoint, Translator]":
            checkpoint = load_checkpoint(find_checkpoint(model), mapped=True)
            translator = Translator.from_loaded_checkpoint(
                checkpoint,
                device=device,
                beam_size=beam_size,
                length_penalty=length_penalty,
                batch_size=batch_size,
                precision="float32" if sample and precision == "auto" else precision,
            )
            _begin(progress)
            return checkpoint, translator

        translate_text(text, search, load, progress, document)
