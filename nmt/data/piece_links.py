"""Links between pieces, derived from links between words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nmt.data.array_file import RaggedWriter, file_of, open_array
from nmt.data.word_links import Links
from nmt.text.tokenizer import TokenizerPair

if TYPE_CHECKING:  # it loads the readers of all formats
    from nmt.data.corpus import ParallelText


@dataclass(frozen=True)
class PieceLinks:
    """The links of sentence pairs: those of pair i are ``links[offsets[i]:offsets[i + 1]]``.

    Attributes:
        links: [links, 2], indices of source and target piece, from 0.
        offsets: [pairs + 1], where the links of each pair start, and the last ones end.
        stem: The stem of the memory-mapped files; None: the arrays are in memory. With a stem, a
            pickle contains only the stem.
    """

    links: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    stem: Path | None = field(default=None, compare=False)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[np.int32]:
        """Return the links of one pair, [links, 2]."""
        return self.links[self.offsets[index] : self.offsets[index + 1]]

    @classmethod
    def of_text(cls, tokenizers: TokenizerPair, text: "ParallelText") -> "PieceLinks":
        """Return the piece links of the sure word links of a text; see `project`."""
        assert text.alignment is not None
        pairs = zip(text.source, text.target, text.alignment, strict=True)
        return cls._joined(
            [
                project(
                    links,
                    tokenizers.source.encode_words(source)[1],
                    tokenizers.target.encode_words(target)[1],
                )
                for source, target, links in pairs
            ]
        )

    def keep(self, indices: npt.NDArray[np.int64]) -> "PieceLinks":
        """Return the links of the pairs with these indices, in this order."""
        return self._joined([self[int(i)] for i in indices])

    @classmethod
    def load(cls, stem: Path) -> "PieceLinks":
        """Map the files of a `LinkWriter`; the links stay on disk until they are read.

        Raises:
            OSError: The files cannot be read.
            ValueError: They are damaged.
        """
        return cls(
            open_array(file_of(stem, "links")), open_array(file_of(stem, "link_offsets")), stem
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if self.stem is not None:
            return PieceLinks.load, (self.stem,)
        return PieceLinks, (self.links, self.offsets)

    @classmethod
    def _joined(cls, pairs: list[npt.NDArray[np.int32]]) -> "PieceLinks":
        offsets = np.zeros(len(pairs) + 1, dtype=np.int64)
        np.cumsum([len(links) for links in pairs], out=offsets[1:])
        none = np.zeros((0, 2), dtype=np.int32)
        return cls(np.concatenate([none, *pairs]), offsets)


class LinkWriter(RaggedWriter):
    """Writes `PieceLinks` in parts, as ``<stem>.links.npy`` and ``<stem>.link_offsets.npy``."""

    def __init__(self, stem: Path) -> None:
        """Create the files."""
        super().__init__(file_of(stem, "links"), file_of(stem, "link_offsets"), np.int32, (2,))

    def append(self, part: PieceLinks) -> None:
        """Append the links of more pairs."""
        self.append_rows(part.links, part.offsets)


def project(
    links: Links, source_words: list[int], target_words: list[int]
) -> npt.NDArray[np.int32]:
    """Link each piece of a source word with each piece of a target word linked to that word.

    Args:
        links: Links between words; only the sure ones are used.
        source_words: The index of the word of each source piece.
        target_words: The index of the word of each target piece.

    Returns:
        [piece links, 2], sorted by source, then target.
    """
    if not links.sure or not source_words or not target_words:
        return np.zeros((0, 2), dtype=np.int32)
    words = np.array(sorted(links.sure))
    rows, columns = words.max(axis=0) + 1
    rows, columns = max(rows, max(source_words) + 1), max(columns, max(target_words) + 1)
    linked = np.zeros((rows, columns), dtype=bool)
    linked[words[:, 0], words[:, 1]] = True
    return np.argwhere(linked[np.ix_(source_words, target_words)]).astype(np.int32)


def dense_links(
    pairs: Sequence[npt.NDArray[np.int32]], target_length: int, source_length: int
) -> npt.NDArray[np.float32]:
    """Return for each target piece a distribution over the source pieces, [B, T, S].

    The linked source pieces have equal probabilities. A target piece without links has zeros.
    """
    dense = np.zeros((len(pairs), target_length, source_length), dtype=np.float32)
    joined = np.concatenate(pairs)
    rows = np.repeat(np.arange(len(pairs)), [len(links) for links in pairs])
    dense[rows, joined[:, 1], joined[:, 0]] = 1.0
    dense /= np.maximum(dense.sum(axis=2, keepdims=True), 1.0)
    return dense
