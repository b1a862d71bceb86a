"""Piece ids of a corpus in two flat arrays a side, memory-mapped where they come from a cache."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nmt.data.corpus import ParallelText
from nmt.data.piece_links import PieceLinks
from nmt.text.tokenizer import Tokenizer, TokenizerPair

_CHUNK = 10_000  # sentences encoded at a time


@dataclass(frozen=True)
class PieceSequences:
    """Sequences of piece ids: sequence i is ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[np.int32]:
        """Return the ids of one sequence, [length]."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of pieces of each sequence."""
        return np.diff(self.offsets)

    @classmethod
    def from_lists(cls, sequences: Sequence[Sequence[int]]) -> "PieceSequences":
        """Flatten lists of ids."""
        offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
        np.cumsum([len(sequence) for sequence in sequences], out=offsets[1:])
        flat = [piece for sequence in sequences for piece in sequence]
        return cls(np.asarray(flat, dtype=np.int32), offsets)

    @classmethod
    def encode(cls, tokenizer: Tokenizer, sentences: Sequence[str]) -> "PieceSequences":
        """Encode sentences, a chunk at a time."""
        chunks = [
            cls.from_lists(tokenizer.encode_all(sentences[start : start + _CHUNK]))
            for start in range(0, len(sentences), _CHUNK)
        ]
        ids = [chunk.ids for chunk in chunks]
        lengths = [chunk.lengths for chunk in chunks]
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]) if lengths else [0]
        return cls(
            np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32),
            np.asarray(offsets, dtype=np.int64),
        )

    def keep(self, indices: npt.NDArray[np.int64]) -> "PieceSequences":
        """Return the chosen sequences, in the given order."""
        return self.from_lists([self[int(i)].tolist() for i in indices])

    def save(self, stem: Path) -> None:
        """Write ``<stem>.ids.npy`` and ``<stem>.offsets.npy``."""
        np.save(stem.with_name(f"{stem.name}.ids.npy"), self.ids)
        np.save(stem.with_name(f"{stem.name}.offsets.npy"), self.offsets)

    @classmethod
    def load(cls, stem: Path) -> "PieceSequences":
        """Map what `save` wrote; the ids stay on disk until they are read."""
        return cls(
            np.load(stem.with_name(f"{stem.name}.ids.npy"), mmap_mode="r"),
            np.load(stem.with_name(f"{stem.name}.offsets.npy"), mmap_mode="r"),
        )


@dataclass(frozen=True)
class EncodedCorpus:
    """Both sides of one split as piece ids, without BOS or EOS.

    Attributes:
        source: One sequence a pair.
        target: One sequence a pair.
        links: The pairs' links between pieces, where they were asked for.
        sections: Number of pairs of each training source, in order; empty: all are of one.
    """

    source: PieceSequences
    target: PieceSequences
    links: PieceLinks | None = None
    sections: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.source)

    @classmethod
    def encode(cls, tokenizers: TokenizerPair, text: ParallelText) -> "EncodedCorpus":
        """Encode both sides, every pair."""
        return cls(
            PieceSequences.encode(tokenizers.source, text.source),
            PieceSequences.encode(tokenizers.target, text.target),
        )


@dataclass(frozen=True)
class LeftOut:
    """How many training pairs were left out, by reason."""

    blank: int
    too_long: int


def keep_trainable(corpus: EncodedCorpus, max_length: int) -> tuple[EncodedCorpus, LeftOut]:
    """Leave out pairs with a blank side, or with more than ``max_length`` pieces on a side."""
    source, target = corpus.source.lengths, corpus.target.lengths
    blank = (source == 0) | (target == 0)
    too_long = ~blank & ((source > max_length) | (target > max_length))
    left_out = LeftOut(int(blank.sum()), int(too_long.sum()))
    if not (blank | too_long).any():
        return corpus, left_out
    kept = np.flatnonzero(~(blank | too_long))
    links = None if corpus.links is None else corpus.links.keep(kept)
    return EncodedCorpus(corpus.source.keep(kept), corpus.target.keep(kept), links), left_out


def content_hash(parts: Iterable[str]) -> str:
    """Return a 32-digit hash of texts, each delimited, so that no two lists collide by joining."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
