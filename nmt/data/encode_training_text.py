"""Last pass over the training text: the kept pairs are encoded to piece ids on disk."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nmt.data.corpus import LinkReader, ParallelText, TrainingSource
from nmt.data.encoded import EncodedCorpus, SequenceWriter
from nmt.data.filters import KEPT, FilterRule, Verdicts
from nmt.data.judge_training_text import CHUNK, JudgedText, Progress
from nmt.data.piece_links import LinkWriter, PieceLinks
from nmt.data.sources.pair_source import PairChunk, clean_chunk, with_tag
from nmt.errors import UserError
from nmt.text.tokenizer import TokenizerPair


class TrainingEncoder:
    """Encodes the kept pairs of all sources into files, and drops pairs with too many pieces."""

    def __init__(self, tokenizers: TokenizerPair, max_length: int, threads: int) -> None:
        """Encode with these tokenizers.

        Args:
            tokenizers: The tokenizers of both sides.
            max_length: Pieces per side; longer pairs are dropped.
            threads: Threads of SentencePiece.
        """
        self._tokenizers = tokenizers
        self._max_length = max_length
        self._threads = threads

    def encode(
        self,
        folder: Path,
        sources: Sequence[TrainingSource],
        judged: JudgedText,
        progress: Progress,
    ) -> tuple[int, ...]:
        """Write ``train.source``, ``train.target`` and, if there are links, ``train``.

        Pairs that are too long, or blank after encoding, get a verdict in ``judged.verdicts``.

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
                for text, of_chunk in kept_text(source, verdicts):
                    part = self._encode(text, of_chunk)
                    source_writer.append(part.source)
                    target_writer.append(part.target)
                    if link_writer is not None and part.links is not None:
                        link_writer.append(part.links)
                    written += len(part)
                    done += len(of_chunk)
                    progress("encoding", done, judged.pairs)
                sections.append(written)
        return tuple(sections)

    def _encode(self, text: ParallelText, verdicts: Verdicts) -> EncodedCorpus:
        """Encode the kept pairs of a chunk; update the verdicts of those dropped now."""
        whole = EncodedCorpus.encode(self._tokenizers, text, self._threads)
        links = None if text.alignment is None else PieceLinks.of_text(self._tokenizers, text)
        lengths = whole.source.lengths, whole.target.lengths
        new = np.full(len(whole), KEPT, dtype=np.uint8)
        new[np.maximum(*lengths) > self._max_length] = FilterRule.TOO_LONG.verdict
        new[np.minimum(*lengths) == 0] = FilterRule.BLANK.verdict
        verdicts[verdicts == KEPT] = new
        kept = new == KEPT
        if kept.all():
            return EncodedCorpus(whole.source, whole.target, links)
        return EncodedCorpus(
            whole.source.keep(kept),
            whole.target.keep(kept),
            None if links is None else links.keep(np.flatnonzero(kept)),
        )


def kept_text(
    source: TrainingSource, verdicts: Verdicts
) -> Iterator[tuple[ParallelText, Verdicts]]:
    """Yield the kept pairs of a source, cleaned and tagged, with the verdicts of each chunk.

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
        yield _kept(chunk, links, of_chunk == KEPT), of_chunk
    if start != len(verdicts):
        raise _changed(source)
    if links is not None:
        links.finish()


def _kept(chunk: PairChunk, links: LinkReader | None, kept: npt.NDArray[np.bool_]) -> ParallelText:
    clean = clean_chunk(chunk)
    sources, targets = with_tag(clean.sources, chunk.tag), clean.targets
    alignment = None
    if links is not None:
        alignment = links.read(sources, targets, tagged=chunk.tag is not None)
    if kept.all():
        return ParallelText(sources, targets, alignment)
    chosen = np.flatnonzero(kept).tolist()
    return ParallelText(
        [sources[i] for i in chosen],
        [targets[i] for i in chosen],
        None if alignment is None else [alignment[i] for i in chosen],
    )


def _changed(source: TrainingSource) -> UserError:
    return UserError(
        f"{source.pairs.name} ({source.key}) changed while it was read; wait until it is written, "
        "and start again"
    )
