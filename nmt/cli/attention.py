"""`nmt attention`: shows a model's attention as pictures, a page, numbers or word links."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.alignment_options import AlignmentOptions, Head, Layer, Shift, Threshold
from nmt.cli.attention_kinds import show_kinds
from nmt.cli.common_options import BatchSize, BeamSize, Device, FeaturesFile, OptionalModel, Threads
from nmt.cli.context_attention import check_context_options, show_context
from nmt.cli.faithfulness import check_faithfulness_outputs, show_faithfulness
from nmt.cli.text_streams import safe_line, utf8_stream
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress
from nmt.torch_import import defer_shape_functions

if TYPE_CHECKING:
    from nmt.data.features import Features
    from nmt.decoding.translator import Translator
    from nmt.evaluation.aligner import Aligner
    from nmt.evaluation.alignment_extractor import AlignmentExtractor
    from nmt.evaluation.attention_view import AttentionView

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
    int | None, typer.Option(help="Which translation of the beam to show; the best is 1. [1]")
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
        help="Show the attention to the regions of --features in place of that to the text.",
    ),
]
ContextShown = Annotated[
    bool,
    typer.Option(
        "--context",
        help="Show the attention of a sentence to the words of each previous sentence, and to the "
        "sentences, of a model with model.encoder.context=hierarchical. A blank line of --source "
        "ends a document.",
    ),
]
Faithful = Annotated[
    bool,
    typer.Option(
        "--faithfulness",
        help="Compare the weights with other measures of importance, and change them to see "
        "whether the predictions depend on them. --output FILE.html shows them side by side.",
    ),
]
Kinds = Annotated[
    bool,
    typer.Option(
        "--kinds",
        help="Show what each kind of self-attention attends to, costs and loses. It needs no "
        "model. --output FILE.html is a page, and FILE.svg a picture for each kind.",
    ),
]
Eos = Annotated[
    bool,
    typer.Option("--eos/--no-eos", help="Show the end mark EOS, or drop it and renormalize."),
]


@dataclass(frozen=True)
class _Options:
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
    context: bool


def attention(
    model: OptionalModel = None,
    sentence: Sentence = None,
    source: Source = None,
    reference: Reference = None,
    output: Outputs = None,
    beam_size: BeamSize = None,
    rank: Rank = None,
    layer: Layer = None,
    head: Head = None,
    shift: Shift = None,
    threshold: Threshold = None,
    grid: Grid = False,
    pieces: Pieces = False,
    eos: Eos = True,
    faithfulness: Faithful = False,
    features: FeaturesFile = None,
    regions: RegionsShown = False,
    context: ContextShown = False,
    kinds: Kinds = False,
    batch_size: BatchSize = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Show the attention of a model while it translates, or is forced to produce a translation.

    Without --output it prints a line of word links per sentence, as nmt align does; with --output
    it prints the translations.
    """
    alignment = AlignmentOptions(layer, head, shift, threshold)
    shown = grid, pieces, eos, faithfulness, features, regions, context
    options = _Options(
        sentence, source, reference, output or [], beam_size, rank, alignment, *shown
    )
    if kinds:
        _check_kinds(options, model)
        defer_shape_functions()
        show_kinds(options.outputs)
        return
    if model is None:
        raise UserError("Missing option '--model'; see nmt attention --help")
    _check(options)
    with CommandProgress() as progress:
        progress.show("loading", model)
        _view(model, options, batch_size, (device, threads), progress)


def _view(
    model: Path,
    options: _Options,
    batch_size: int | None,
    machine: tuple[str, int | None],
    progress: CommandProgress,
) -> None:
    """Load the model, and view the attention of each sentence.

    Args:
        model: A run folder or a checkpoint file.
        options: Those of the command.
        batch_size: Sentences of a batch; None: the run's setting.
        machine: The device, and the number of CPU threads.
        progress: Shows how many sentences are done.
    """
    device, threads = machine
    if not options.faithfulness:  # it draws random numbers, which need that part of torch
        defer_shape_functions()
    sources, references = _read_texts(options)
    from nmt import runtime
    from nmt.evaluation.attention_files import check_outputs
    from nmt.evaluation.attention_view import forced_views, hypothesis_views

    if not options.faithfulness:
        check_outputs(options.outputs, len(sources), grid=options.grid)
    runtime.set_threads(threads)
    runtime.keep_freed_memory()
    if options.context:
        given = model, sources, options.outputs, options.alignment
        shown = options.pieces, options.eos
        show_context(*given, shown=shown, device=device, progress=progress)
        return
    translator, aligner, extractor = _loaded(model, options, len(sources), batch_size, device)
    loading_phase.end()
    if options.faithfulness:
        targets = references or _translations(translator, sources, progress)
        pairs = list(zip(sources, targets, strict=True))
        show_faithfulness(translator, extractor, pairs, options.outputs, progress)
        return
    if references is None:
        advance = progress.stage("translating", len(sources))
        rank = (options.rank or 1) - 1
        of_regions = _of_regions(options, translator)
        views = hypothesis_views(translator, sources, rank, advance, of_regions=of_regions)
    else:
        advance = progress.stage("aligning", len(sources))
        views = forced_views(aligner, sources, references, advance)
    _show(views, extractor, options, progress)


def _loaded(
    model: Path, options: _Options, sentences: int, batch_size: int | None, device: str
) -> "tuple[Translator, Aligner, AlignmentExtractor]":
    from nmt.checkpoint import find_checkpoint, load_checkpoint
    from nmt.decoding.translator import Translator
    from nmt.evaluation.aligner import Aligner

    checkpoint = load_checkpoint(find_checkpoint(model), mapped=True)
    translator = Translator.from_loaded_checkpoint(
        checkpoint, device=device, beam_size=options.beam_size, batch_size=batch_size
    )
    features = _features(options, sentences)
    translator = translator if features is None else translator.with_features(features)
    parts = translator.model, translator.tokenizers, translator.decoding.batch_size
    aligner = Aligner(*parts, features, of_regions=_of_regions(options, translator))
    extractor = options.alignment.resolve(checkpoint.config, aligner.layers, aligner.heads)
    return translator, aligner, extractor


def _of_regions(options: _Options, translator: "Translator") -> bool:
    return options.regions or not translator.model.reads_text


def _features(options: _Options, sentences: int) -> "Features | None":
    if options.features is None:
        return None
    from nmt.data.features import Features

    features = Features(options.features, f"--features {options.features}")
    features.check_count(sentences, str(options.source or "the sentence"))
    return features


def _show(
    views: Sequence["AttentionView"],
    extractor: "AlignmentExtractor",
    options: _Options,
    progress: CommandProgress,
) -> None:
    from nmt.data.word_links import format_links
    from nmt.evaluation.attention_files import count_files, write_outputs

    output = utf8_stream(sys.stdout)
    links = [format_links(extractor.links(view.attention)) for view in views]
    progress.clear()
    if not options.outputs:
        output.writelines(f"{line}\n" for line in links)
        return
    if options.reference is None:
        output.writelines(f"{safe_line(view.target_text, output)}\n" for view in views)
        output.flush()
    prepared = [view.prepared(extractor, pieces=options.pieces, eos=options.eos) for view in views]
    files = count_files(options.outputs, len(views), grid=options.grid)
    advance = progress.stage("drawing", files, "files")
    warning = write_outputs(
        options.outputs, prepared, links, extractor, grid=options.grid, advance=advance
    )
    if warning is not None:
        progress.clear()
        print(f"warning: {warning}", file=sys.stderr)


def _translations(
    translator: "Translator", sources: Sequence[str], progress: CommandProgress
) -> list[str]:
    advance = progress.stage("translating", len(sources))
    return [found.text for found in translator.translate(sources, wanted=1, advance=advance)]


def _check(options: _Options) -> None:
    options.alignment.check()
    if options.sentence is not None and options.source is not None:
        raise UserError("give either a sentence or --source FILE, not both")
    if options.sentence is None and options.source is None:
        raise UserError("there is no sentence: give one as an argument, or a file by --source")
    if options.regions and options.features is None:
        raise UserError("--regions shows the regions of features: add --features FILE")
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


def _check_kinds(options: _Options, model: Path | None) -> None:
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


def _check_context(options: _Options) -> None:
    others = {
        "--reference": options.reference is not None,
        "--rank": options.rank is not None,
        "--beam-size": options.beam_size is not None,
        "--grid": options.grid,
        "--features": options.features is not None,
    }
    check_context_options(options.outputs, options.alignment, others)


def _check_faithfulness(options: _Options) -> None:
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


def _read_texts(options: _Options) -> tuple[list[str], list[str] | None]:
    """Return the source sentences and their references, if given.

    Raises:
        UserError: A file cannot be read, a sentence is blank, or the lengths differ.
    """
    from nmt.data.text_files import read_lines, read_pair
    from nmt.text.valid_text import check_texts

    references: list[str] | None = None
    if options.source is not None and options.reference is not None:
        sources, references = read_pair(options.source, options.reference)
    elif options.source is not None:
        sources = read_lines(options.source)
        if not sources:
            raise UserError(f"{options.source} contains no text")
    else:
        assert options.sentence is not None
        sources = [options.sentence]
        if "\n" in options.sentence:
            raise UserError("the sentence contains a line break; give several by --source FILE")
        check_texts(sources)
        if options.reference is not None:
            references = read_lines(options.reference)
            if len(references) != 1:
                raise UserError(
                    f"{options.reference} has {len(references):,} lines, but there is one sentence"
                )
    if options.source is None or not options.context:
        _refuse_blank(sources, options.source)
    _refuse_blank(references or [], options.reference)
    return sources, references


def _refuse_blank(sentences: Sequence[str], path: Path | None) -> None:
    for number, sentence in enumerate(sentences, start=1):
        if not sentence.strip():
            place = "the sentence" if path is None else f"{path}, line {number:,}"
            raise UserError(f"{place} is blank, so there is no attention to show")
