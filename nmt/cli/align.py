"""`nmt align`: prints word alignments of a translated text, or scores them against gold ones."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.options.alignment_options import AlignmentOptions, Head, Layer, Shift, Threshold
from nmt.cli.options.common_options import Device, FeaturesFile, Model, Threads
from nmt.cli.text_streams import utf8_stream
from nmt.errors import UserError
from nmt.file_names import no_file
from nmt.reporting.command_progress import CommandProgress
from nmt.torch_import import defer_shape_functions

if TYPE_CHECKING:
    from nmt.evaluation.attention.aligner import Advance, Aligner
    from nmt.evaluation.attention.alignment_error import AlignmentScore
    from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
    from nmt.evaluation.attention.gold_alignment import ScoredExtractor

Source = Annotated[Path, typer.Option(help="Sentences, one per line; may be .gz.")]
Target = Annotated[
    Path, typer.Option(help=("Translations of the sentences, line by line; may be .gz."))
]
Gold = Annotated[
    Path | None,
    typer.Option(
        help="Gold links, line by line: 0-1 is a sure link, 0p1 a possible one. Prints the error "
        "rate instead of links."
    ),
]
FlipGold = Annotated[
    bool, typer.Option("--flip-gold", help="The gold links name the target word first.")
]
Compare = Annotated[
    bool,
    typer.Option("--compare", help="Score every layer, head and shift; the best comes first."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")]
PairBatchSize = Annotated[
    int | None, typer.Option(help="Sentence pairs per batch. [the run's setting]")
]


@dataclass(frozen=True)
class _Options:
    """The options of the command that are checked together."""

    source: Path
    target: Path
    gold: Path | None
    flip_gold: bool
    alignment: AlignmentOptions
    compare: bool
    as_json: bool


def align(
    model: Model,
    source: Source,
    target: Target,
    gold: Gold = None,
    flip_gold: FlipGold = False,
    layer: Layer = None,
    head: Head = None,
    shift: Shift = None,
    threshold: Threshold = None,
    compare: Compare = False,
    as_json: AsJson = False,
    features: FeaturesFile = None,
    batch_size: PairBatchSize = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Align the words of sentences and their translations by the attention of a model.

    Prints a line of links per sentence pair, e.g. 0-0 1-2: source word and target word, counted
    from 0 and separated by spaces. With --gold it prints the alignment error rate, precision and
    recall instead.
    """
    alignment = AlignmentOptions(layer, head, shift, threshold)
    options = _Options(source, target, gold, flip_gold, alignment, compare, as_json)
    _check(options)
    with CommandProgress() as progress:
        progress.show("loading", model)
        defer_shape_functions()
        from nmt import runtime

        runtime.set_threads(threads)
        runtime.keep_freed_memory()
        aligner, extractors = _loaded(model, options, features, batch_size, device)
        loading_phase.end()
        if gold is None:
            _print_links(aligner, options, extractors[0], progress)
        else:
            _print_scores(aligner, options, gold, extractors, progress)


def _loaded(
    model: Path, options: _Options, features: Path | None, batch_size: int | None, device: str
) -> "tuple[Aligner, list[AlignmentExtractor]]":
    """Load the model; return the aligner, and the layers and heads from which to read links."""
    from nmt.checkpoint import find_checkpoint, load_checkpoint
    from nmt.cli.options.feature_option import with_features_of
    from nmt.decoding.translator import Translator
    from nmt.evaluation.attention.aligner import Aligner
    from nmt.evaluation.attention.alignment_extractor import all_extractors

    checkpoint = load_checkpoint(find_checkpoint(model), mapped=True)
    translator = Translator.from_loaded_checkpoint(checkpoint, device=device, batch_size=batch_size)
    if features is not None:
        translator = with_features_of(translator, features, options.source)
    parts = translator.model, translator.tokenizers, translator.decoding.batch_size
    aligner = Aligner(*parts, translator.features)
    if options.compare:
        return aligner, all_extractors(aligner.layers, aligner.heads)
    extractor = options.alignment.resolve(checkpoint.config, aligner.layers, aligner.heads)
    return aligner, [extractor]


def _check(options: _Options) -> None:
    options.alignment.check()
    if options.gold is None:
        for flag, given in (
            ("--flip-gold", options.flip_gold),
            ("--compare", options.compare),
            ("--json", options.as_json),
        ):
            if given:
                raise UserError(f"{flag} needs gold alignments: add --gold FILE")
    if options.compare and options.alignment.given:
        raise UserError(
            "--compare tries every layer, head and shift: leave out --layer, --head, --shift "
            "and --threshold"
        )
    for path in (options.source, options.target, options.gold):
        if path is not None and not path.exists():
            raise UserError(no_file(path))


def _print_links(
    aligner: "Aligner",
    options: _Options,
    extractor: "AlignmentExtractor",
    progress: CommandProgress,
) -> None:
    from nmt.data.text_files import stream_aligned
    from nmt.data.word_links import format_links

    output = utf8_stream(sys.stdout)
    pairs = ((s, t) for s, t in stream_aligned(options.source, options.target))
    advance = _aligning(options, progress)
    for links in aligner.links(pairs, extractor, advance):
        if output.isatty():  # the printed links show the progress
            progress.close()
        print(format_links(links), file=output)


def _aligning(options: _Options, progress: CommandProgress) -> "Advance":
    """Return the function that shows how many pairs are aligned."""
    from nmt.data.text_files import count_lines

    return progress.stage("aligning", count_lines(options.source) if progress.shown else None)


def _print_scores(
    aligner: "Aligner",
    options: _Options,
    gold: Path,
    extractors: Sequence["AlignmentExtractor"],
    progress: CommandProgress,
) -> None:
    from nmt.evaluation.attention.gold_alignment import score_extractors

    scored = score_extractors(
        aligner,
        extractors,
        options.source,
        options.target,
        gold,
        flip_gold=options.flip_gold,
        advance=_aligning(options, progress),
    )
    progress.close()
    if options.as_json:
        rows = [_json_row(extractor, score) for extractor, score in scored]
        print(json.dumps(rows if options.compare else rows[0]))
    elif options.compare:
        _print_table(scored)
    else:
        _print_score(*scored[0])


def _json_row(extractor: "AlignmentExtractor", score: "AlignmentScore") -> dict[str, object]:
    return {
        "aer": score.error_rate,
        "precision": score.precision,
        "recall": score.recall,
        "reading": extractor.numbered(),
        **asdict(score),
    }


def _print_score(extractor: "AlignmentExtractor", score: "AlignmentScore") -> None:
    print(f"AER       {100 * score.error_rate:6.2f} %")
    print(f"precision {100 * score.precision:6.2f} %  {score.found:,} links found")
    print(f"recall    {100 * score.recall:6.2f} %  {score.sure:,} sure links")
    layer, head = _numbers(extractor)
    shift = "--shift" if extractor.shift else "--no-shift"
    options = f"--layer {layer} --head {head} {shift} --threshold {extractor.threshold}"
    print(f"read with {options}", file=sys.stderr)


def _numbers(extractor: "AlignmentExtractor") -> tuple[int, int | str]:
    """Return the values of --layer and --head."""
    numbered = extractor.numbered()
    return numbered["layer"], "mean" if numbered["head"] is None else numbered["head"]


def _print_table(scored: Sequence["ScoredExtractor"]) -> None:
    """Print a line per layer, head and shift; the first three columns name these options."""
    print("--layer  --head  shift    AER %  precision %  recall %")
    for extractor, score in scored:
        layer, head = _numbers(extractor)
        shift = "yes" if extractor.shift else "no"
        print(
            f"{layer:>7}  {head:>6}  {shift:>5}  {100 * score.error_rate:7.2f}  "
            f"{100 * score.precision:11.2f}  {100 * score.recall:8.2f}"
        )
