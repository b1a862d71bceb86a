"""Piece ids of a corpus: per side, an array of all ids and an array of offsets."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nmt.data.array_file import RaggedWriter, file_of, open_array
from nmt.data.features import Features
from nmt.data.piece_links import PieceLinks
from nmt.text.tokenizer import Tokenizer, TokenizerPair

if TYPE_CHECKING:  # it loads the readers of all formats
    from nmt.data.corpus import ParallelText

Ids = npt.NDArray[np.uint16] | npt.NDArray[np.int32]


@dataclass(frozen=True)
class PieceSequences:
    """Sequences of piece ids: sequence i is ``ids[offsets[i]:offsets[i + 1]]``.

    Attributes:
        ids: [pieces], all sequences one after another, uint16 or int32.
        offsets: [sequences + 1], where each sequence starts, and the last one ends.
        stem: The stem of the memory-mapped files; None: the arrays are in memory. With a stem, a
            pickle contains only the stem.
    """

    ids: Ids
    offsets: npt.NDArray[np.int64]
    stem: Path | None = field(default=None, compare=False)

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Ids:
        """Return the ids of one sequence, [length]."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """Number of pieces of each sequence, [sequences]."""
        lengths = np.empty(len(self), dtype=np.int32)
        np.subtract(self.offsets[1:], self.offsets[:-1], out=lengths, casting="unsafe")
        return lengths

    @classmethod
    def from_lists(cls, sequences: Sequence[Sequence[int]]) -> "PieceSequences":
        """Make sequences of lists of ids."""
        flat = [piece for sequence in sequences for piece in sequence]
        lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
        return cls(np.asarray(flat, dtype=np.int32), _offsets(lengths))

    @classmethod
    def encode(
        cls, tokenizer: Tokenizer, sentences: Sequence[str], threads: int = 1
    ) -> "PieceSequences":
        """Encode sentences without BOS and EOS."""
        ids, lengths = tokenizer.encode_flat(sentences, threads)
        return cls(ids, _offsets(lengths))

    def keep(self, kept: npt.NDArray[np.bool_]) -> "PieceSequences":
        """Return the sequences that a mask [sequences] selects."""
        lengths = self.lengths
        return PieceSequences(self.ids[np.repeat(kept, lengths)], _offsets(lengths[kept]))

    def fingerprint(self) -> str:
        """Return a 32-digit hash of the sequences. It does not depend on the dtype of the ids."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.offsets.astype("<i8"), self.ids.astype("<i4")):
            digest.update(array.tobytes())
        return digest.hexdigest()

    @classmethod
    def load(cls, stem: Path) -> "PieceSequences":
        """Map the files of a `SequenceWriter`; the ids stay on disk until they are read.

        Raises:
            OSError: The files cannot be read.
            ValueError: They are damaged.
        """
        ids, offsets = (open_array(file_of(stem, kind)) for kind in ("ids", "offsets"))
        if not len(offsets) or offsets[-1] != len(ids):
            raise ValueError(f"{stem.name} has {len(ids):,} ids, but its offsets end elsewhere")
        return cls(ids, offsets, stem)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.stem is not None:
            return PieceSequences.load, (self.stem,)
        return PieceSequences, (self.ids, self.offsets)


def piece_type(vocabulary: int) -> type[np.uint16] | type[np.int32]:
    """Return the dtype of stored ids: uint16 for up to 65,536 pieces, else int32."""
    return np.uint16 if vocabulary <= 1 << 16 else np.int32


class SequenceWriter(RaggedWriter):
    """Writes `PieceSequences` in parts, as ``<stem>.ids.npy`` and ``<stem>.offsets.npy``."""

    def __init__(self, stem: Path, vocabulary: int) -> None:
        """Create the files for ids below ``vocabulary``."""
        super().__init__(file_of(stem, "ids"), file_of(stem, "offsets"), piece_type(vocabulary))

    def append(self, part: PieceSequences) -> None:
        """Append sequences."""
        self.append_rows(part.ids, part.offsets)


@dataclass(frozen=True)
class EncodedCorpus:
    """Both sides of one split as piece ids, without BOS or EOS.

    Attributes:
        source: One sequence per pair.
        target: One sequence per pair.
        links: The links between the pieces of each pair; None: they are not used.
        sections: Number of pairs of each training source, in order; empty for a single source.
        features: The features of each pair; None: there are none.
    """

    source: PieceSequences
    target: PieceSequences
    links: PieceLinks | None = None
    sections: tuple[int, ...] = ()
    features: Features | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.source)

    def keep(self, kept: npt.NDArray[np.bool_]) -> "EncodedCorpus":
        """Return the pairs that a mask [pairs] selects, without sections and features."""
        links = None if self.links is None else self.links.keep(np.flatnonzero(kept))
        return EncodedCorpus(self.source.keep(kept), self.target.keep(kept), links)

    @classmethod
    def encode(
        cls, tokenizers: TokenizerPair, text: "ParallelText", threads: int = 1
    ) -> "EncodedCorpus":
        """Encode both sides of every pair, without links."""
        return cls(
            PieceSequences.encode(tokenizers.source, text.source, threads),
            PieceSequences.encode(tokenizers.target, text.target, threads),
            features=text.features,
        )


def _offsets(lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
