"""`nmt attention`: shows a model's attention as pictures, a page, numbers or word links."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nmt import loading_phase
from nmt.cli.attention_kinds import show_kinds
from nmt.cli.context_attention import show_context
from nmt.cli.faithfulness import show_faithfulness
from nmt.cli.options.alignment_options import AlignmentOptions, Head, Layer, Shift, Threshold
from nmt.cli.options.attention_options import (
    AttentionOptions,
    ContextShown,
    Eos,
    Faithful,
    Grid,
    Kinds,
    Outputs,
    Pieces,
    Rank,
    Reference,
    RegionsShown,
    Sentence,
    Source,
    check_kinds_options,
    check_options,
)
from nmt.cli.options.common_options import (
    BatchSize,
    BeamSize,
    Device,
    FeaturesFile,
    OptionalModel,
    Threads,
)
from nmt.cli.options.picture_options import PictureGrid, PictureOptions, PicturesFile
from nmt.cli.text_streams import safe_line, utf8_stream
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress
from nmt.torch_import import defer_shape_functions

if TYPE_CHECKING:
    from nmt.data.features import Features
    from nmt.decoding.translator import Translator
    from nmt.evaluation.attention.aligner import Aligner
    from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
    from nmt.evaluation.attention.attention_view import AttentionView
    from nmt.evaluation.attention.pictures import Pictures


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
    pictures: PicturesFile = None,
    picture_grid: PictureGrid = None,
    context: ContextShown = False,
    kinds: Kinds = False,
    batch_size: BatchSize = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Show the attention of a model that translates, or that is forced to produce a translation.

    Without --output it prints a line of word links per sentence, as nmt align does; with --output
    it prints the translations.
    """
    alignment = AlignmentOptions(layer, head, shift, threshold)
    drawn_on = PictureOptions(pictures, picture_grid)
    shown = grid, pieces, eos, faithfulness, features, regions, drawn_on, context
    options = AttentionOptions(
        sentence, source, reference, output or [], beam_size, rank, alignment, *shown
    )
    if kinds:
        check_kinds_options(options, model)
        defer_shape_functions()
        show_kinds(options.outputs)
        return
    if model is None:
        raise UserError("Missing option '--model'; see nmt attention --help")
    check_options(options)
    with CommandProgress() as progress:
        progress.show("loading", model)
        _view(model, options, batch_size, (device, threads), progress)


def _view(
    model: Path,
    options: AttentionOptions,
    batch_size: int | None,
    machine: tuple[str, int | None],
    progress: CommandProgress,
) -> None:
    """Load the model, and show the attention of each sentence.

    Args:
        model: A run folder or a checkpoint file.
        options: The options of the command.
        batch_size: Sentences of a batch; None: the run's setting.
        machine: The device, and the number of CPU threads.
        progress: Shows how many sentences are done.
    """
    device, threads = machine
    if not options.faithfulness:  # this draws random numbers, which need the deferred part of torch
        defer_shape_functions()
    sources, references = _read_texts(options)
    from nmt import runtime
    from nmt.evaluation.attention.attention_files import check_outputs
    from nmt.evaluation.attention.attention_view import forced_views

    if not options.faithfulness:
        check_outputs(options.outputs, len(sources), grid=options.grid)
    features = _features(options, len(sources))
    pictures = None if features is None else options.pictures.open(features)
    runtime.set_threads(threads)
    runtime.keep_freed_memory()
    if options.context:
        given = model, sources, options.outputs, options.alignment
        shown = options.pieces, options.eos
        show_context(*given, shown=shown, device=device, progress=progress)
        return
    translator, aligner, extractor = _loaded(model, options, features, batch_size, device)
    loading_phase.end()
    if options.faithfulness:
        targets = references or _translations(translator, sources, progress)
        pairs = list(zip(sources, targets, strict=True))
        show_faithfulness(translator, extractor, pairs, options.outputs, progress)
        return
    if references is None:
        views = _hypothesis_views(translator, sources, options, progress)
    else:
        advance = progress.stage("aligning", len(sources))
        views = forced_views(aligner, sources, references, advance)
    _show(views, extractor, options, pictures, progress)


def _hypothesis_views(
    translator: "Translator",
    sources: Sequence[str],
    options: AttentionOptions,
    progress: CommandProgress,
) -> "list[AttentionView]":
    from nmt.evaluation.attention.attention_view import hypothesis_views

    advance = progress.stage("translating", len(sources))
    rank = (options.rank or 1) - 1
    of_regions = _of_regions(options, translator)
    return hypothesis_views(translator, sources, rank, advance, of_regions=of_regions)


def _loaded(
    model: Path,
    options: AttentionOptions,
    features: "Features | None",
    batch_size: int | None,
    device: str,
) -> "tuple[Translator, Aligner, AlignmentExtractor]":
    from nmt.checkpoint import find_checkpoint, load_checkpoint
    from nmt.decoding.translator import Translator
    from nmt.evaluation.attention.aligner import Aligner

    checkpoint = load_checkpoint(find_checkpoint(model), mapped=True)
    translator = Translator.from_loaded_checkpoint(
        checkpoint, device=device, beam_size=options.beam_size, batch_size=batch_size
    )
    translator = translator if features is None else translator.with_features(features)
    parts = translator.model, translator.tokenizers, translator.decoding.batch_size
    aligner = Aligner(*parts, features, of_regions=_of_regions(options, translator))
    extractor = options.alignment.resolve(checkpoint.config, aligner.layers, aligner.heads)
    return translator, aligner, extractor


def _of_regions(options: AttentionOptions, translator: "Translator") -> bool:
    return options.regions or not translator.model.reads_text


def _features(options: AttentionOptions, sentences: int) -> "Features | None":
    if options.features is None:
        return None
    from nmt.data.features import Features

    features = Features(options.features, f"--features {options.features}")
    features.check_count(sentences, str(options.source or "the sentence"))
    return features


def _show(
    views: Sequence["AttentionView"],
    extractor: "AlignmentExtractor",
    options: AttentionOptions,
    pictures: "Pictures | None",
    progress: CommandProgress,
) -> None:
    from nmt.data.word_links import format_links
    from nmt.evaluation.attention.attention_files import count_files, write_outputs

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
        options.outputs,
        prepared,
        links,
        extractor,
        grid=options.grid,
        pictures=pictures,
        advance=advance,
    )
    if warning is not None:
        progress.clear()
        print(f"warning: {warning}", file=sys.stderr)


def _translations(
    translator: "Translator", sources: Sequence[str], progress: CommandProgress
) -> list[str]:
    advance = progress.stage("translating", len(sources))
    return [found.text for found in translator.translate(sources, wanted=1, advance=advance)]


def _read_texts(options: AttentionOptions) -> tuple[list[str], list[str] | None]:
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
