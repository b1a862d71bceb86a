"""Encodes each pair with previous sentences of its document before it."""

from collections.abc import Sequence

from nmt.data.corpus import ParallelText
from nmt.data.encoded import EncodedCorpus, PieceSequences
from nmt.text.sentence_context import ContextSize, PreviousSentences
from nmt.text.special_tokens import SENTENCE_BREAK
from nmt.text.tokenizer import Tokenizer, TokenizerPair


class ContextEncoder:
    """Encodes consecutive parts of a text; the context of a pair may be in an earlier part."""

    def __init__(self, tokenizers: TokenizerPair, size: ContextSize, threads: int = 1) -> None:
        """Encode with tokenizers that have the separator as a symbol.

        Args:
            tokenizers: The tokenizers of both sides.
            size: The number of previous sentences before each sentence.
            threads: Number of threads of SentencePiece.
        """
        self._tokenizers, self._threads = tokenizers, threads
        self._breaks = [side.symbols.get(SENTENCE_BREAK, 0) for side in _sides(tokenizers)]
        self._size = size
        self._previous: PreviousSentences[list[int]] = PreviousSentences(size)
        self._document: int | None = None

    def encode(self, text: ParallelText) -> EncodedCorpus:
        """Encode the next pairs; each sentence is segmented alone, then joined with its context.

        A pair with a blank side is not context of later pairs; a blank target is allowed if the
        context has no targets. Tags stay at the beginning of the source, before the context.
        """
        sources = self._tokenizers.source.encode_all(text.source, self._threads)
        targets = self._tokenizers.target.encode_all(text.target, self._threads)
        tags = [self._tokenizers.source.leading_tags(ids) for ids in sources]
        documents = text.documents or range(len(sources))
        found: tuple[list[list[int]], list[list[int]]] = ([], [])
        for document, source, target, tag in zip(documents, sources, targets, tags, strict=True):
            if document != self._document:
                self._previous.begin()
            self._document = document
            contexts = self._previous.context(len(source), len(target))
            bare = source[tag:]
            before = _joined(contexts[0], self._breaks[0]) if bare else []
            found[0].append([*source[:tag], *before, *bare])
            found[1].append([*_joined(contexts[1], self._breaks[1]), *target] if target else [])
            if bare and (target or not self._size.targets):
                self._previous.add((bare, len(bare)), (target, len(target)))
        source_rows, target_rows = map(PieceSequences.from_lists, found)
        return EncodedCorpus(source_rows, target_rows)


def encode_text(tokenizers: TokenizerPair, text: ParallelText, size: ContextSize) -> EncodedCorpus:
    """Encode a whole split, with context if ``size`` is not 0."""
    if not size:
        return EncodedCorpus.encode(tokenizers, text)
    return ContextEncoder(tokenizers, size).encode(text)


def _joined(context: Sequence[list[int]], separator: int) -> list[int]:
    return [piece for sentence in context for piece in (*sentence, separator)]


def _sides(tokenizers: TokenizerPair) -> tuple[Tokenizer, Tokenizer]:
    return tokenizers.source, tokenizers.target
