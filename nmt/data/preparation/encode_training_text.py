"""The last pass over the training text encodes the kept pairs and writes their piece ids."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from nmt.data.corpus import LinkReader, ParallelText, TrainingSource
from nmt.data.encoded import EncodedCorpus, SequenceWriter
from nmt.data.encoded_context import ContextEncoder
from nmt.data.filters import KEPT, FilterRule, Verdicts
from nmt.data.piece_links import LinkWriter, PieceLinks
from nmt.data.preparation.judge_training_text import CHUNK, JudgedText, Progress
from nmt.data.sources.pair_source import PairChunk, clean_chunk, with_tag
from nmt.errors import UserError
from nmt.text.sentence_context import ContextSize
from nmt.text.tokenizer import TokenizerPair


class TrainingEncoder:
    """Writes the encoded kept pairs of all sources, and drops pairs with too many pieces."""

    def __init__(self, tokenizers: TokenizerPair, size: ContextSize, threads: int) -> None:
        """Encode with these tokenizers.

        Args:
            tokenizers: The tokenizers of both sides.
            size: The number of previous sentences before each sentence, and the maximum number of
                pieces per side.
            threads: Number of threads of SentencePiece.
        """
        self._tokenizers = tokenizers
        self._size = size
        self._threads = threads

    def encode(
        self,
        folder: Path,
        sources: Sequence[TrainingSource],
        judged: JudgedText,
        progress: Progress,
    ) -> tuple[int, ...]:
        """Write the files of ``train.source``, ``train.target`` and, for links, ``train``.

        If a kept pair has too many pieces, or none on a side, its entry in ``judged.verdicts`` is
        changed.

        Returns:
            The number of pairs written for each source.
        """
        sections, done = [], 0
        with ExitStack() as stack:
            tokenizers = self._tokenizers
            source_writer = stack.enter_context(
                SequenceWriter(folder / "train.source", len(tokenizers.source))
            )
            target_writer = stack.enter_context(
                SequenceWriter(folder / "train.target", len(tokenizers.target))
            )
            link_writer = None
            if any(source.links is not None for source in sources):
                link_writer = stack.enter_context(LinkWriter(folder / "train"))
            for source, verdicts in zip(sources, judged.verdicts, strict=True):
                written = 0
                for part, of_chunk in self._encoded(source, verdicts):
                    source_writer.append(part.source)
                    target_writer.append(part.target)
                    if link_writer is not None and part.links is not None:
                        link_writer.append(part.links)
                    written += len(part)
                    done += len(of_chunk)
                    progress("encoding", done, judged.pairs)
                sections.append(written)
        return tuple(sections)

    def _encoded(
        self, source: TrainingSource, verdicts: Verdicts
    ) -> Iterator[tuple[EncodedCorpus, Verdicts]]:
        """Yield the kept pairs of a source, encoded, with the verdicts of each chunk."""
        if self._size:  # dropped pairs may be context of kept ones
            context = ContextEncoder(self._tokenizers, self._size, self._threads)
            for text, of_chunk in whole_text(source, verdicts):
                yield self._kept(context.encode(text).keep(of_chunk == KEPT), of_chunk), of_chunk
            return
        for text, of_chunk in kept_text(source, verdicts):
            whole = EncodedCorpus.encode(self._tokenizers, text, self._threads)
            if text.alignment is not None:
                whole = replace(whole, links=PieceLinks.of_text(self._tokenizers, text))
            yield self._kept(whole, of_chunk), of_chunk

    def _kept(self, whole: EncodedCorpus, verdicts: Verdicts) -> EncodedCorpus:
        """Return the pairs that are not too long or blank; change the verdicts of the others."""
        lengths = whole.source.lengths, whole.target.lengths
        new = np.full(len(whole), KEPT, dtype=np.uint8)
        new[np.maximum(*lengths) > self._size.max_length] = FilterRule.TOO_LONG.verdict
        new[np.minimum(*lengths) == 0] = FilterRule.BLANK.verdict
        verdicts[verdicts == KEPT] = new
        kept = new == KEPT
        return whole if kept.all() else whole.keep(kept)


def kept_text(
    source: TrainingSource, verdicts: Verdicts
) -> Iterator[tuple[ParallelText, Verdicts]]:
    """Yield the kept pairs of each chunk of a source, and the verdicts of all its pairs.

    Raises:
        UserError: The source has changed since it was judged.
    """
    for text, of_chunk in whole_text(source, verdicts):
        kept = of_chunk == KEPT
        chosen = text if kept.all() else text.chosen(np.flatnonzero(kept).tolist())
        yield chosen, of_chunk


def whole_text(
    source: TrainingSource, verdicts: Verdicts
) -> Iterator[tuple[ParallelText, Verdicts]]:
    """Yield all pairs of a source, cleaned and tagged, with the verdicts of each chunk.

    Args:
        source: The source to read.
        verdicts: [pairs], the verdict of each pair. Views of this array are yielded.

    Raises:
        UserError: The source has changed since it was judged.
    """
    links = None if source.links is None else source.links.open()
    start = 0
    for chunk in source.pairs.chunks(CHUNK):
        of_chunk = verdicts[start : start + len(chunk)]
        start += len(chunk)
        if len(of_chunk) != len(chunk):
            raise _changed(source)
        yield _text(chunk, links), of_chunk
    if start != len(verdicts):
        raise _changed(source)
    if links is not None:
        links.finish()


def _text(chunk: PairChunk, links: LinkReader | None) -> ParallelText:
    clean = clean_chunk(chunk)
    sources, targets = with_tag(clean.sources, chunk.tag), clean.targets
    alignment = None
    if links is not None:
        alignment = links.read(sources, targets, tagged=chunk.tag is not None)
    return ParallelText(sources, targets, alignment, chunk.documents)


def _changed(source: TrainingSource) -> UserError:
    return UserError(
        f"{source.pairs.name} ({source.key}) changed while it was read; wait until it is written, "
        "and start again"
    )
