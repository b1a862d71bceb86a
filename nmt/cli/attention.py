"""`nmt attention`: what a model looked at, as pictures, a page, numbers or word links."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.checkpoint import find_checkpoint, load_checkpoint
from nmt.cli.attention_files import View, check_outputs, write_outputs
from nmt.cli.reading import ReadingFlags
from nmt.cli.streams import utf8
from nmt.data.text_files import read_lines, read_pair
from nmt.data.word_links import format_links
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.aligner import Aligner
from nmt.evaluation.alignment_extractor import AlignmentExtractor
from nmt.evaluation.attention_map import AttentionMap, hypothesis_map


@dataclass(frozen=True)
class AttentionOptions:
    """The flags of the command; None keeps the run's own setting.

    Attributes:
        rank: Which hypothesis of the search, the best being 1.
    """

    model: Path
    sentence: str | None
    source: Path | None
    reference: Path | None
    outputs: Sequence[Path]
    beam_size: int | None
    rank: int | None
    reading: ReadingFlags
    grid: bool
    pieces: bool
    eos: bool
    batch_size: int | None
    device: str


def run(options: AttentionOptions) -> None:
    """Show the attention of translations, found by search or given.

    Raises:
        UserError: The model, a file or an option is at fault.
    """
    _check(options)
    sources, references = _read(options)
    check_outputs(options.outputs, len(sources), grid=options.grid)
    checkpoint = load_checkpoint(find_checkpoint(options.model))
    translator = Translator.from_loaded_checkpoint(
        checkpoint,
        device=options.device,
        beam_size=options.beam_size,
        batch_size=options.batch_size,
    )
    aligner = Aligner(translator.model, translator.tokenizers, translator.decoding.batch_size)
    reading = options.reading.resolve(checkpoint.config, aligner.layers, aligner.heads)
    if references is None:
        views = _search(translator, sources, (options.rank or 1) - 1)
    else:
        views = _force(aligner, sources, references)
    _show(views, reading, options)


def _show(views: Sequence[View], reading: AlignmentExtractor, options: AttentionOptions) -> None:
    output = utf8(sys.stdout)
    if not options.outputs:
        output.writelines(f"{format_links(reading.links(view.attention))}\n" for view in views)
        return
    if options.reference is None:
        output.writelines(f"{view.target_text}\n" for view in views)
        output.flush()
    shown = [view.shown(reading, pieces=options.pieces, eos=options.eos) for view in views]
    links = [format_links(reading.links(view.attention)) for view in views]
    write_outputs(options.outputs, shown, links, reading, grid=options.grid)


def _check(options: AttentionOptions) -> None:
    options.reading.check()
    if options.sentence is not None and options.source is not None:
        raise UserError("give a sentence or --source FILE, not both")
    if options.sentence is None and options.source is None:
        raise UserError("there is no sentence: give one as an argument, or a file by --source")
    if not options.outputs and (options.pieces or not options.eos):
        flag = "--pieces" if options.pieces else "--no-eos"
        raise UserError(f"{flag} is about what is drawn or written: add --output FILE")
    if options.grid and (options.reading.layer, options.reading.head) != (None, None):
        raise UserError("--grid draws all layers and heads: leave out --layer and --head")
    if options.rank is not None and options.rank < 1:
        raise UserError(f"--rank is {options.rank}; it must be at least 1, the best translation")
    if options.reference is not None:
        for flag, given in (("--rank", options.rank), ("--beam-size", options.beam_size)):
            if given is not None:
                raise UserError(f"{flag} is about the search, but --reference gives the target")


def _read(options: AttentionOptions) -> tuple[list[str], list[str] | None]:
    """Return the sources and, where they are given, their translations; none of them blank."""
    references: list[str] | None = None
    if options.source is not None and options.reference is not None:
        sources, references = read_pair(options.source, options.reference)
    elif options.source is not None:
        sources = read_lines(options.source)
        if not sources:
            raise UserError(f"{options.source} holds no text")
    else:
        assert options.sentence is not None
        sources = [options.sentence]
        if "\n" in options.sentence:
            raise UserError("the sentence holds a line break; give several by --source FILE")
        if options.reference is not None:
            references = read_lines(options.reference)
            if len(references) != 1:
                raise UserError(
                    f"{options.reference} has {len(references):,} lines, but there is one sentence"
                )
    _refuse_blank(sources, options.source)
    _refuse_blank(references or [], options.reference)
    return sources, references


def _refuse_blank(sentences: Sequence[str], path: Path | None) -> None:
    for number, sentence in enumerate(sentences, start=1):
        if not sentence.strip():
            place = "the sentence" if path is None else f"{path}, line {number:,}"
            raise UserError(f"{place} is blank, so there is no attention to show")


def _search(translator: Translator, sources: Sequence[str], rank: int) -> list[View]:
    beams = translator.decoding.beam_size
    if rank >= beams:
        raise UserError(f"--rank {rank + 1} needs as many beams: add --beam-size {rank + 1}")
    views = []
    for translation in translator.translate(sources, need_weights=True):
        if not translation.hypotheses:
            raise UserError(
                f"nothing is left of {translation.source!r} once it is normalised, so there is no "
                "attention to show"
            )
        if rank >= len(translation.hypotheses):
            raise UserError(
                f"there are {len(translation.hypotheses)} translations of {translation.source!r}, "
                f"so none has rank {rank + 1}"
            )
        log_prob = translation.hypotheses[rank].log_prob
        title = f"translation {rank + 1} of a beam of {beams}, log-probability {log_prob:.2f}"
        attention = hypothesis_map(translation, translator.tokenizers, rank)
        views.append(View(attention, translation.source, translation.texts[rank], title))
    return views


def _force(aligner: Aligner, sources: Sequence[str], references: Sequence[str]) -> list[View]:
    pairs = list(zip(sources, references, strict=True))
    maps: list[AttentionMap] = list(aligner.maps(pairs))
    return [
        View(attention, source, target, "forced onto the reference")
        for attention, (source, target) in zip(maps, pairs, strict=True)
    ]
