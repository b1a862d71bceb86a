"""The log-probabilities of given translations of the sentences of documents."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

from nmt.decoding.document_search import ContextLines
from nmt.decoding.scoring import ScoredTranslation, score_translations
from nmt.decoding.translator import Translator
from nmt.text.sentence_context import ContextSize, join_sentences
from nmt.text.special_tokens import SENTENCE_BREAK


def score_rows(
    translator: Translator, size: ContextSize, rows: Iterable[tuple[str, ...]]
) -> Iterator[list[ScoredTranslation]]:
    """Yield the scores of the translations of each sentence.

    Args:
        translator: The model.
        size: The amount of context that the model reads.
        rows: A sentence and its translations; each row has the same number of translations. The
            sentences are in the order of their documents. A blank sentence ends a document. In each
            column, the previous translations are the target context of the next translation.
    """
    given: list[tuple[str, ...]] = []

    def pairs() -> Iterator[tuple[str, str]]:
        columns: list[ContextLines] = []
        for row in rows:
            given.append(row)
            sentence, *targets = row
            columns = columns or [ContextLines(translator.tokenizers, size) for _ in targets]
            for lines, target in zip(columns, targets, strict=True):
                source = lines.joined(sentence) if size else sentence
                yield source, join_sentences(lines.translations, target)
                if size:
                    lines.add(sentence, target if size.targets else "")

    read = iter(rows)
    first_row = next(read, None)
    if first_row is None:
        return
    rows = chain([first_row], read)
    scored = score_translations(translator, pairs(), len(first_row) - 1)
    for first in scored:
        row = given.pop(0)
        found = [first, *(next(scored) for _ in row[2:])]
        yield [_own(one, row[0], target) for one, target in zip(found, row[1:], strict=True)]


def _own(scored: ScoredTranslation, source: str, target: str) -> ScoredTranslation:
    """Remove the context from a score."""
    if SENTENCE_BREAK in target or SENTENCE_BREAK not in scored.pieces:
        return replace(scored, source=source, target=target)
    start = len(scored.pieces) - scored.pieces[::-1].index(SENTENCE_BREAK)
    pieces, log_probs = scored.pieces[start:], scored.log_probs[start:]
    p_gen = None if scored.p_gen is None else scored.p_gen[start:]
    return ScoredTranslation(source, target, pieces, log_probs, p_gen)
