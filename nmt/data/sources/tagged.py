"""Adds a tag before every source sentence, for back-translation and multilingual models."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nmt.data.sources.fingerprint import fingerprint_parts
from nmt.data.sources.pair_source import FaultSink, PairChunk, PairSource, refuse


@dataclass(frozen=True)
class TaggedPairs:
    """A source with a tag (Caswell et al. 2019) before each source sentence that is not blank.

    Attributes:
        pairs: The source without the tag.
        tag: One word, e.g. ``<bt>``.
    """

    pairs: PairSource
    tag: str

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.pairs.name

    def fingerprint(self) -> str:
        """Return a hash of the source and of the tag.

        Raises:
            UserError: A file cannot be read.
        """
        return fingerprint_parts(self.pairs.fingerprint().encode(), self.tag.encode())

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield the chunks of the source with the tag in a field; the texts do not change."""
        for chunk in self.pairs.chunks(size, on_fault):
            yield replace(chunk, tag=self.tag)
