"""Statistics of pieces, and the cost of an epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nmt.data.batches.length_batches import LengthKeys, batch_shapes
from nmt.data.encoded import piece_type
from nmt.data.locations import SHOWN
from nmt.data_check.histograms import COUNT_EDGES, counted, rows_of_counts
from nmt.text.special_tokens import UNK
from nmt.text.tokenizer import Tokenizer

Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PieceCounts:
    """Counts of pieces in some sentences.

    Attributes:
        lengths: [sentences], number of pieces of each sentence.
        unknown: Number of <unk> pieces in all sentences.
        with_unknown: Indices of the first `SHOWN` sentences with an <unk>.
    """

    lengths: Lengths
    unknown: int
    with_unknown: list[int]

    @property
    def unknown_share(self) -> float:
        """Share of the pieces that are <unk>."""
        return self.unknown / max(1, int(self.lengths.sum()))


def count_pieces(tokenizer: Tokenizer, sentences: Sequence[str]) -> PieceCounts:
    """Encode sentences, 10,000 at a time, and count their pieces."""
    lengths: list[int] = []
    with_unknown: list[int] = []
    unknown = 0
    for start in range(0, len(sentences), 10_000):
        for ids in tokenizer.encode_all(sentences[start : start + 10_000]):
            lengths.append(len(ids))
            if UNK in ids:
                unknown += ids.count(UNK)
                if len(with_unknown) < SHOWN:
                    with_unknown.append(len(lengths) - 1)
    return PieceCounts(np.asarray(lengths, dtype=np.int64), unknown, with_unknown)


def side_tokens(
    vocabulary: int, lengths: Lengths, words: int, unknown_share: float, *, scale: float = 1.0
) -> dict[str, Any]:
    """Return the ``tokens`` of one side for the report.

    Args:
        vocabulary: Number of pieces of the tokenizer.
        lengths: [sentences], pieces of each training sentence or of a sample of them.
        words: Number of words in the same sentences.
        unknown_share: Share of <unk> in the pieces of validation and test.
        scale: Number of training sentences per sentence of the sample.
    """
    pieces = int(lengths.sum())
    histogram = rows_of_counts(counted(lengths, COUNT_EDGES), int(lengths.max(initial=0)))
    return {
        "vocabulary": vocabulary,
        "pieces": round(pieces * scale),
        "pieces_per_word": round(pieces / max(1, words), 3),
        "unknown_share": unknown_share,
        "pieces_histogram": [[low, high, round(count * scale)] for low, high, count in histogram],
    }


def cost_of_lengths(
    source: Lengths,
    target: Lengths,
    batch_tokens: int,
    accumulation: int,
    *,
    vocabulary: int,
    scale: float = 1.0,
    shuffle_buffer: int | None = None,
) -> dict[str, Any] | None:
    """Return the ``cost`` of an epoch for the report.

    Args:
        source: [pairs], source pieces of each training pair or of a sample of them.
        target: [pairs], target pieces of the same pairs.
        batch_tokens: Maximum target pieces per update.
        accumulation: Batches per update.
        vocabulary: Vocabulary size of the larger tokenizer.
        scale: Number of training pairs per pair of the sample.
        shuffle_buffer: Maximum number of pairs that are shuffled together; None: all.

    Returns:
        None if there are no pairs.
    """
    if not len(source):
        return None
    keys = LengthKeys.of_lengths(source, target)
    found, counts = keys.count(np.arange(len(source)))
    sides = np.stack(keys.lengths(found), axis=1)
    shapes = batch_shapes(sides, counts, batch_tokens // accumulation)
    slots = shapes.rows[:, None] * shapes.widths
    largest = int(slots[:, 1].argmax())
    pairs = round(len(source) * scale)
    width = piece_type(vocabulary)().itemsize
    return {
        "batch_tokens": batch_tokens,
        "updates_per_epoch": max(1, round(len(shapes.rows) * scale / accumulation)),
        "padding_share": 1 - float((counts @ sides).sum() / slots.sum()),
        "encoded_bytes": round(width * int(source.sum() + target.sum()) * scale) + 16 * (pairs + 1),
        "order_bytes": (4 if pairs < 1 << 32 else 8) * min(pairs, shuffle_buffer or pairs),
        "largest_batch": [int(shapes.rows[largest]), int(shapes.widths[largest].max())],
    }
