"""Scores a model's word alignments against gold alignments in a file."""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.data.text_files import stream_aligned
from nmt.data.word_links import FirstWordCheck, Links, check_links, parse_links
from nmt.errors import UserError
from nmt.evaluation.attention.aligner import Advance, Aligner
from nmt.evaluation.attention.alignment_error import AlignmentScore
from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor, links_by_extractor
from nmt.text.tokenizer import split_words

ScoredExtractor = tuple[AlignmentExtractor, AlignmentScore]


def score_extractors(
    aligner: Aligner,
    extractors: Sequence[AlignmentExtractor],
    source: Path,
    target: Path,
    gold: Path,
    *,
    flip_gold: bool,
    advance: Advance = lambda done: None,
) -> list[ScoredExtractor]:
    """Score several extractors of links from a model's attention, in one pass over a text.

    Args:
        aligner: Computes the attention of the model.
        extractors: The extractors to score.
        source: A file of sentences, one per line.
        target: A file of their translations, one per line.
        gold: A file of gold links, one line per pair.
        flip_gold: Whether the gold links name the target word first.
        advance: Called after each batch with the number of pairs so far.

    Returns:
        The extractors with their scores, the lowest error rate first; ties keep their order.

    Raises:
        UserError: A file cannot be read, the files differ in length, or a gold link is invalid.
    """
    first_words = FirstWordCheck(str(gold))
    pending: deque[Links] = deque()  # gold links of the pairs that the aligner has not yet returned

    def pairs() -> Iterator[tuple[str, str]]:
        lines = stream_aligned(source, target, gold)
        for number, (source_line, target_line, gold_line) in enumerate(lines, start=1):
            place = f"{gold}, line {number:,}"
            pending.append(_parse_gold(gold_line, source_line, target_line, flip_gold, place))
            first_words.add(pending[-1])
            yield source_line, target_line

    scores = [AlignmentScore()] * len(extractors)
    for found in aligner.apply(
        pairs(), lambda attention: links_by_extractor(extractors, attention), advance
    ):
        links = pending.popleft()
        scores = [score.with_pair(one, links) for score, one in zip(scores, found, strict=True)]
    first_words.finish()
    if not scores[0].possible:
        raise UserError(f"{gold} contains no links, so there is nothing to compare with")
    scored = zip(extractors, scores, strict=True)
    return sorted(scored, key=lambda pair: pair[1].error_rate)


def _parse_gold(line: str, source: str, target: str, flip: bool, place: str) -> Links:
    try:
        links = parse_links(line)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None
    if flip:
        links = links.flipped()
    words = len(split_words(source)), len(split_words(target))
    exchange = "leave out --flip-gold" if flip else "add --flip-gold"
    check_links(links, *words, place, exchange)
    return links
