"""The last reading of the training text: what is kept becomes piece ids on disk, by chunks."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nmt.data.corpus import LinkReader, ParallelText, TrainingSource
from nmt.data.encoded import EncodedCorpus, SequenceWriter
from nmt.data.filters import RULES
from nmt.data.judge_training_text import CHUNK, Progress, Scan, cleaned
from nmt.data.piece_links import LinkWriter, PieceLinks
from nmt.data.sources.pair_source import PairChunk, with_tag
from nmt.errors import UserError
from nmt.text.tokenizer import TokenizerPair

_BLANK, _TOO_LONG = RULES.index("blank"), RULES.index("too_long")


class TrainingEncoder:
    """Encodes the kept pairs of all sources into files, and judges their lengths in pieces."""

    def __init__(self, tokenizers: TokenizerPair, max_length: int, threads: int) -> None:
        """Encode with these tokenizers; a longer pair is dropped."""
        self._tokenizers = tokenizers
        self._max_length = max_length
        self._threads = threads

    def encode(
        self, folder: Path, sources: Sequence[TrainingSource], scanned: Scan, progress: Progress
    ) -> tuple[int, ...]:
        """Write ``train.source``, ``train.target`` and, where there are links, ``train``.

        Pairs found too long, or blank once they are pieces, are noted in ``scanned.verdicts``.

        Returns:
            How many pairs of each source were written.
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
            for source, verdicts in zip(sources, scanned.verdicts, strict=True):
                written = 0
                for text, judged in kept_text(source, verdicts):
                    part = self._encode(text, judged)
                    source_writer.append(part.source)
                    target_writer.append(part.target)
                    if link_writer is not None and part.links is not None:
                        link_writer.append(part.links)
                    written += len(part)
                    done += len(judged)
                    progress("encoding", done, scanned.pairs)
                sections.append(written)
        return tuple(sections)

    def _encode(self, text: ParallelText, judged: npt.NDArray[np.uint8]) -> EncodedCorpus:
        """Encode the kept pairs of a chunk; mark those that are not kept after all."""
        whole = EncodedCorpus.encode(self._tokenizers, text, self._threads)
        links = None if text.alignment is None else PieceLinks.of_text(self._tokenizers, text)
        lengths = whole.source.lengths, whole.target.lengths
        verdict = np.zeros(len(whole), dtype=np.uint8)
        verdict[np.maximum(*lengths) > self._max_length] = _TOO_LONG
        verdict[np.minimum(*lengths) == 0] = _BLANK
        judged[judged == 0] = verdict
        kept = verdict == 0
        if kept.all():
            return EncodedCorpus(whole.source, whole.target, links)
        return EncodedCorpus(
            whole.source.keep(kept),
            whole.target.keep(kept),
            None if links is None else links.keep(np.flatnonzero(kept)),
        )


def kept_text(
    source: TrainingSource, verdicts: npt.NDArray[np.uint8]
) -> Iterator[tuple[ParallelText, npt.NDArray[np.uint8]]]:
    """Yield the kept pairs of a source, cleaned and tagged, a chunk at a time, with its verdicts.

    Args:
        source: What to read.
        verdicts: Of each of its pairs; 0 is kept. What is yielded are views of it.

    Raises:
        UserError: The source is no longer what the verdicts were made of.
    """
    links = None if source.links is None else source.links.open()
    start = 0
    for chunk in source.pairs.chunks(CHUNK):
        judged = verdicts[start : start + len(chunk)]
        start += len(chunk)
        if len(judged) != len(chunk):
            raise _changed(source)
        yield _kept(chunk, links, judged == 0), judged
    if start != len(verdicts):
        raise _changed(source)
    if links is not None:
        links.finish()


def _kept(chunk: PairChunk, links: LinkReader | None, kept: npt.NDArray[np.bool_]) -> ParallelText:
    bare, targets = cleaned(chunk)
    sources = with_tag(bare, chunk.tag)
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
