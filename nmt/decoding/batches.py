"""Batches of sentences for search. Sentences of similar length share a batch."""

from collections.abc import Callable, Iterator, Sequence

from nmt.config.schema import DEFAULT_BATCH_SIZE, DecodingConfig

Advance = Callable[[int, float], None]
"""Called after each batch with the number of finished sentences and the share of the work."""

AUTOMATIC_TOKENS = 40_960
"""On a GPU, the source pieces of a batch, with padding, times the hypotheses of each sentence. A
few thousand rows use all of the GPU. Their logits and keys fit in a few gigabytes."""

CHUNK_BATCHES = 16
"""Batches of sentences that are read ahead and sorted, so that a batch has similar lengths."""

LENGTH_MULTIPLE, SIZE_MULTIPLE = 8, 8
"""For few shapes, lengths are rounded up to a multiple of the first number, and larger batch sizes
are rounded down to a multiple of the second."""


def batch_tokens(decoding: DecodingConfig, hypotheses: int, *, on_gpu: bool) -> int | None:
    """Return the source pieces of a batch; None: a batch has ``decoding.batch_size`` sentences."""
    if decoding.batch_tokens is not None:
        return decoding.batch_tokens
    if not on_gpu or decoding.batch_size != DEFAULT_BATCH_SIZE:
        return None
    return max(1, AUTOMATIC_TOKENS // hypotheses)


def search_batches(lengths: Sequence[int], size: int, tokens: int | None) -> Iterator[list[int]]:
    """Yield the indices of the sentences of each batch, the longest sentences first.

    Args:
        lengths: Pieces of each sentence, EOS included. A sentence of length 1 is blank and is in no
            batch.
        size: Sentences of a batch.
        tokens: Source pieces of a batch, with padding, which replace ``size``; None: use ``size``.
    """
    order = sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True)
    order = [i for i in order if lengths[i] > 1]
    start = 0
    while start < len(order):
        if tokens is not None:
            longest = -(-lengths[order[start]] // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
            size = max(1, tokens // longest)
            size -= size % SIZE_MULTIPLE if size > SIZE_MULTIPLE else 0
        yield order[start : start + size]
        start += size


class WorkDone:
    """Counts the sentences of finished batches, and their share of all pieces."""

    def __init__(self, lengths: Sequence[int], advance: Advance) -> None:
        """Begin with sentences of these lengths; a sentence of length 1 is blank."""
        self._lengths = lengths
        self._advance = advance
        self._sentences = sum(length <= 1 for length in lengths)
        self._pieces, self._all = 0, max(1, sum(length for length in lengths if length > 1))

    def add(self, positions: Sequence[int]) -> None:
        """Add a finished batch, given by the positions of its sentences."""
        self._sentences += len(positions)
        self._pieces += sum(self._lengths[i] for i in positions)
        self._advance(self._sentences, self._pieces / self._all)
