"""`nmt align`: word alignments of a translated text, or how far they are from gold ones."""

import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.checkpoint import find_checkpoint, load_checkpoint
from nmt.cli.reading import ReadingFlags
from nmt.cli.streams import utf8
from nmt.config.schema import Config
from nmt.data.text_files import stream_aligned
from nmt.data.word_links import Links, check_links, format_links, parse_links
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.evaluation.aligner import Aligner
from nmt.evaluation.alignment_error import AlignmentScore
from nmt.evaluation.alignment_extractor import (
    AlignmentExtractor,
    all_extractors,
    links_by_extractor,
)
from nmt.text.tokenizer import split_words

Scored = tuple[AlignmentExtractor, AlignmentScore]


@dataclass(frozen=True)
class AlignOptions:
    """The flags of the command; None keeps the run's own setting."""

    model: Path
    source: Path
    target: Path
    gold: Path | None
    flip_gold: bool
    reading: ReadingFlags
    compare: bool
    as_json: bool
    batch_size: int | None
    device: str


def run(options: AlignOptions) -> None:
    """Force a model onto a translated text; print its links, or their distance from gold.

    Raises:
        UserError: The model, a file or an option is at fault, or the files differ in length.
    """
    _check(options)
    checkpoint = load_checkpoint(find_checkpoint(options.model))
    translator = Translator.from_loaded_checkpoint(
        checkpoint, device=options.device, batch_size=options.batch_size
    )
    aligner = Aligner(translator.model, translator.tokenizers, translator.decoding.batch_size)
    readings = _readings(options, checkpoint.config, aligner)
    if options.gold is None:
        _print_links(aligner, options, readings[0])
        return
    scored = _score(aligner, options, options.gold, readings)
    if options.as_json:
        rows = [_row(reading, score) for reading, score in scored]
        print(json.dumps(rows if options.compare else rows[0]))
    elif options.compare:
        _print_table(scored)
    else:
        _print_score(*scored[0])


def _check(options: AlignOptions) -> None:
    options.reading.check()
    if options.gold is None:
        for flag, given in (
            ("--flip-gold", options.flip_gold),
            ("--compare", options.compare),
            ("--json", options.as_json),
        ):
            if given:
                raise UserError(f"{flag} is about scores: give the gold alignments by --gold FILE")
    if options.compare and options.reading.given:
        raise UserError(
            "--compare tries every layer, head and shift: leave out --layer, --head, --shift "
            "and --threshold"
        )
    for path in (options.source, options.target, options.gold):
        if path is not None and not path.exists():
            raise UserError(f"there is no file {path}")


def _readings(
    options: AlignOptions, config: Config, aligner: Aligner
) -> Sequence[AlignmentExtractor]:
    if options.compare:
        return all_extractors(aligner.layers, aligner.heads)
    return [options.reading.resolve(config, aligner.layers, aligner.heads)]


def _print_links(aligner: Aligner, options: AlignOptions, reading: AlignmentExtractor) -> None:
    output = utf8(sys.stdout)
    pairs = ((s, t) for s, t in stream_aligned(options.source, options.target))
    for links in aligner.links(pairs, reading):
        print(format_links(links), file=output)


def _score(
    aligner: Aligner,
    options: AlignOptions,
    path: Path,
    readings: Sequence[AlignmentExtractor],
) -> list[Scored]:
    """Return each reading's score, the best first, from one pass."""
    ahead: deque[Links] = deque()  # gold of the pairs that the aligner has taken and not yet given

    def pairs() -> Iterator[tuple[str, str]]:
        lines = stream_aligned(options.source, options.target, path)
        for number, (source, target, gold) in enumerate(lines, start=1):
            ahead.append(_gold(gold, source, target, options, f"{path}, line {number:,}"))
            yield source, target

    scores = [AlignmentScore()] * len(readings)
    for found in aligner.read(pairs(), lambda attention: links_by_extractor(readings, attention)):
        gold = ahead.popleft()
        scores = [score.plus(links, gold) for score, links in zip(scores, found, strict=True)]
    if not scores[0].possible:
        raise UserError(f"{path} holds no link, so there is nothing to compare with")
    scored = zip(readings, scores, strict=True)
    return sorted(scored, key=lambda pair: pair[1].error_rate)  # ties stay in their order


def _gold(line: str, source: str, target: str, options: AlignOptions, place: str) -> Links:
    try:
        links = parse_links(line)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None
    if options.flip_gold:
        links = links.flipped()
    check_links(links, len(split_words(source)), len(split_words(target)), place)
    return links


def _row(reading: AlignmentExtractor, score: AlignmentScore) -> dict[str, object]:
    return {
        "aer": score.error_rate,
        "precision": score.precision,
        "recall": score.recall,
        "reading": asdict(reading),
        **asdict(score),
    }


def _print_score(reading: AlignmentExtractor, score: AlignmentScore) -> None:
    print(f"AER       {100 * score.error_rate:6.2f} %")
    print(f"precision {100 * score.precision:6.2f} %  {score.found:,} links found")
    print(f"recall    {100 * score.recall:6.2f} %  {score.sure:,} sure links")
    head = "mean" if reading.head is None else reading.head
    shift = "--shift" if reading.shift else "--no-shift"
    print(
        f"read with --layer {reading.layer} --head {head} {shift} --threshold {reading.threshold}",
        file=sys.stderr,
    )


def _print_table(scored: Sequence[Scored]) -> None:
    """One line a reading; its first three columns are what the flags take."""
    print("--layer  --head  shift    AER %  precision %  recall %")
    for reading, score in scored:
        head = "mean" if reading.head is None else reading.head
        shift = "yes" if reading.shift else "no"
        print(
            f"{reading.layer:>7}  {head:>6}  {shift:>5}  {100 * score.error_rate:7.2f}  "
            f"{100 * score.precision:11.2f}  {100 * score.recall:8.2f}"
        )
