"""Learns the shortlist of a run from its training text."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from nmt.checkpoint import Checkpoint
from nmt.data.corpus import open_corpus
from nmt.data.encoded import EncodedCorpus, PieceSequences, piece_type
from nmt.data.lexical_probabilities import ROUNDS, learn_lexical_probabilities
from nmt.data.sources.pair_source import clean_chunk, clean_text, with_tag
from nmt.data.text_files import stream_aligned
from nmt.decoding.constrained.shortlist import Shortlist, check_shortlisted_model
from nmt.errors import UserError
from nmt.file_names import no_file
from nmt.text.tokenizer import TokenizerPair

MOST_PAIRS = 1_000_000
"""The default of the greatest number of pairs that are read."""

_CHUNK = 10_000  # pairs that are encoded together

Advance = Callable[[int, float | None], None]
"""A function called with the number of pairs so far and the done share of the work, if known."""


@dataclass(frozen=True)
class TrainingText:
    """Sentence pairs in parts.

    Attributes:
        parts: The parts: lists of source and of target sentences.
        valid: The source and target sentences of the validation text; None: unknown.
    """

    parts: Iterable[tuple[list[str], list[str]]]
    valid: tuple[list[str], list[str]] | None = None


@dataclass(frozen=True)
class Learned:
    """A shortlist with its statistics.

    Attributes:
        shortlist: The candidates.
        pairs: Number of pairs from which the shortlist was learned.
        covered: Share of the target pieces of the validation text that are candidates of their
            sentences; None: no validation text.
        size: Mean number of candidates of a validation sentence; None: no validation text.
    """

    shortlist: Shortlist
    pairs: int
    covered: float | None
    size: float | None


def text_of_run(checkpoint: Checkpoint, name: Path) -> TrainingText:
    """Open the training text that the settings of a run name.

    Raises:
        UserError: The text cannot be read.
    """
    try:
        corpus = open_corpus(checkpoint.config.data)
    except UserError as error:
        raise _without_text(name, error) from error

    def parts() -> Iterator[tuple[list[str], list[str]]]:
        try:
            for source in corpus.train:
                for chunk in source.pairs.chunks(_CHUNK):
                    clean = clean_chunk(chunk)
                    yield with_tag(clean.sources, chunk.tag), clean.targets
        except UserError as error:
            raise _without_text(name, error) from error

    return TrainingText(parts(), (corpus.valid.source, corpus.valid.target))


def text_of_files(source: Path, target: Path) -> TrainingText:
    """Open a text of two files, line by line.

    Raises:
        UserError: A file does not exist.
    """
    for path in (source, target):
        if not path.exists():
            raise UserError(no_file(path))

    def parts() -> Iterator[tuple[list[str], list[str]]]:
        lines = stream_aligned(source, target)
        while chunk := list(islice(lines, _CHUNK)):
            yield [clean_text(row[0]) for row in chunk], [clean_text(row[1]) for row in chunk]

    return TrainingText(parts())


def _without_text(name: Path, error: UserError) -> UserError:
    return UserError(
        f"cannot read the training text of {name}: {error}; or give it by --source FILE --target "
        "FILE"
    )


def learn_shortlist(
    checkpoint: Checkpoint,
    text: TrainingText,
    *,
    candidates: int,
    frequent: int,
    most_pairs: int = MOST_PAIRS,
    advance: Advance = lambda done, share: None,
) -> Learned:
    """Learn which target pieces translate each source piece, and make a shortlist.

    Args:
        checkpoint: The model; its tokenizers and its ``data.max_length`` are used.
        text: The training text.
        candidates: Number of translations of each source piece.
        frequent: Number of frequent target pieces that are candidates of every sentence.
        most_pairs: Number of pairs at the beginning of the text to use, at most.
        advance: Shows the progress.

    Raises:
        UserError: No pair can be used, or the model copies and so needs all pieces.
    """
    check_shortlisted_model(checkpoint.config.model)
    tokenizers = checkpoint.tokenizers
    size = len(tokenizers.target)
    longest = checkpoint.config.data.max_length
    pairs = _encoded(tokenizers, text.parts, longest, most_pairs, lambda n: advance(n, None))
    if not len(pairs):
        raise UserError(
            f"the text has no pair with 1 to {longest} pieces on each side: give another text"
        )
    rounds = ROUNDS * len(pairs)
    table = learn_lexical_probabilities(
        pairs, size, advance=lambda done: advance(len(pairs), done / rounds)
    )
    counts = np.bincount(pairs.target.ids, minlength=size)
    shortlist = Shortlist.of(tokenizers, table.best(candidates), counts, frequent)
    covered = mean = None
    if text.valid is not None:
        sources = tokenizers.source.encode_all(text.valid[0])
        targets = tokenizers.target.encode_all(text.valid[1])
        covered = shortlist.covered(sources, targets) / max(1, sum(map(len, targets)))
        mean = float(np.mean(shortlist.sizes(sources)))
    return Learned(shortlist, len(pairs), covered, mean)


def _encoded(
    tokenizers: TokenizerPair,
    parts: Iterable[tuple[list[str], list[str]]],
    longest: int,
    most: int,
    advance: Callable[[int], None],
) -> EncodedCorpus:
    """Return the first pairs of 1 to ``longest`` pieces per side, with 2 or 4 bytes per piece."""
    found: list[EncodedCorpus] = []
    count = 0
    for sources, targets in parts:
        encoded = [
            PieceSequences.encode(tokenizer, side[: most - count])
            for tokenizer, side in (
                (tokenizers.source, sources),
                (tokenizers.target, targets),
            )
        ]
        lengths = [side.lengths for side in encoded]
        kept = (np.minimum(*lengths) > 0) & (np.maximum(*lengths) <= longest)
        found.append(EncodedCorpus(encoded[0].keep(kept), encoded[1].keep(kept)))
        count += len(found[-1])
        advance(count)
        if count >= most:
            break
    source, target = (
        _joined([getattr(part, side) for part in found], len(getattr(tokenizers, side)))
        for side in ("source", "target")
    )
    return EncodedCorpus(source, target)


def _joined(parts: list[PieceSequences], vocabulary: int) -> PieceSequences:
    dtype = piece_type(vocabulary)
    ids = np.concatenate([np.zeros(0, dtype), *(part.ids.astype(dtype) for part in parts)])
    lengths = np.concatenate([np.zeros(1, np.int64), *(part.lengths for part in parts)])
    return PieceSequences(ids, np.cumsum(lengths, dtype=np.int64))
