"""`nmt translate`: prints only translations to standard output, one line per input line."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.options.common_options import (
    BatchSize,
    Device,
    EnsembleMean,
    FeaturesFile,
    LengthPenalty,
    Models,
    SearchPrecision,
    ShortlistFile,
)
from nmt.cli.options.constraint_options import ConstraintOptions
from nmt.cli.options.document_flags import DocumentFlags
from nmt.cli.options.engine_options import EngineOptions, EngineRequest
from nmt.cli.options.option_groups import with_groups
from nmt.cli.options.search_settings import SearchSettings
from nmt.cli.options.translate_options import SearchOptions, TextOptions
from nmt.cli.translation.line_choices import LineErrors
from nmt.config.ensemble_mean import Mean
from nmt.decoding.line_lengths import LongLines
from nmt.reporting.command_progress import CommandProgress
from nmt.torch_import import defer_shape_functions

if TYPE_CHECKING:
    from nmt.decoding.engine import Loaded

Sentences = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SENTENCE]...", help="Sentences. Without them, standard input has one per line."
    ),
]
Input = Annotated[
    Path | None,
    typer.Option(
        "--input",
        help="Translate a file, which may be .gz, .bz2, .xz or .zst; - is standard input. A .tsv, "
        ".jsonl, .tmx, .xliff, .po, .srt, .vtt, .md or .html file keeps its structure; each line "
        "of another file is a sentence.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        help=(
            "Write to a file instead of standard output. Lines and records are written as soon as "
            "they are translated. Other documents replace the file only when they are complete."
        )
    ),
]
Errors = Annotated[
    LineErrors,
    typer.Option(
        help=(
            "What happens if a line is not UTF-8. strict: the command stops after the earlier "
            "lines; replace: U+FFFD replaces the faulty bytes; skip-blank: the output line is "
            "empty."
        )
    ),
]
LongLine = Annotated[
    LongLines,
    typer.Option(
        help=(
            "What happens to a line longer than --max-length. split: it is cut at sentence ends, "
            "and the translations are joined; refuse: it is an error, see --errors; whole: it is "
            "translated without cuts, which often loses text."
        )
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        help=(
            "The greatest number of pieces of a line that is translated without cuts; see "
            "--long-lines. [data.max_length of the run]"
        ),
    ),
]
AttentionFile = Annotated[
    Path | None,
    typer.Option(help="Also draw the attention of one sentence to this .png, .svg or .pdf file."),
]


def _begin(progress: CommandProgress) -> None:
    """Begin to translate: Ctrl-C becomes an exception, and the progress line is erased."""
    loading_phase.end()
    progress.clear()


@with_groups
def translate(
    model: Models,
    sentences: Sentences = None,
    source: Input = None,
    output: Output = None,
    errors: Errors = LineErrors.STRICT,
    long_lines: LongLine = LongLines.SPLIT,
    max_length: MaxLength = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    search: SearchOptions = SearchOptions(),  # noqa: B008
    attention: AttentionFile = None,
    features: FeaturesFile = None,
    settings: SearchSettings = SearchSettings(),  # noqa: B008
    asked: ConstraintOptions = ConstraintOptions(),  # noqa: B008
    ensemble: EnsembleMean = Mean.LOG_PROBS,
    shortlist: ShortlistFile = None,
    device: Device = "auto",
    precision: SearchPrecision = "auto",
    engines: EngineOptions = EngineOptions(),  # noqa: B008
    document: DocumentFlags = DocumentFlags(),  # noqa: B008
) -> None:
    """Translate sentences: one output line per input line; a blank line stays blank.

    All lines that have arrived are translated together, and their translations are then written.
    """
    text = TextOptions(
        sentences or [], source, output, errors, long_lines, max_length, attention, features
    )
    document.check(text, search, asked)
    asked.check(samples=search.samples)
    engines.check(model, text, search, asked, document, shortlist)
    devices = engines.names(device)
    dtype = "float32" if search.samples and precision == "auto" else precision
    sizes = engines.threads, search.beam_size, length_penalty, batch_size
    changes = settings.changes()
    request = EngineRequest(
        model, engines.engine, ensemble, device, *sizes, dtype, changes, shortlist
    )
    with CommandProgress() as progress, ExitStack() as started:
        progress.show("loading", model[0])
        defer_shape_functions()
        from nmt.cli.translation.translate_text import translate_text

        def load() -> "Loaded":
            loaded = request.load_on(devices, started)
            _begin(progress)
            return loaded

        translate_text(text, search, asked, load, progress, document)
