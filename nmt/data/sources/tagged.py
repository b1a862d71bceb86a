"""A tag before every source sentence, as back-translation and many-to-many models use it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nmt.data.sources.fingerprint import fingerprint_parts
from nmt.data.sources.pair_source import FaultSink, PairChunk, PairSource, refuse


@dataclass(frozen=True)
class TaggedPairs:
    """Another source with a tag (Caswell et al. 2019) before what is not blank on its source side.

    Attributes:
        pairs: What is tagged.
        tag: One word, as ``<bt>``.
    """

    pairs: PairSource
    tag: str

    @property
    def name(self) -> str:
        """What the tagged source is called."""
        return self.pairs.name

    def fingerprint(self) -> str:
        """Return a hash of the tagged source and of the tag.

        Raises:
            UserError: A file cannot be read.
        """
        return fingerprint_parts(self.pairs.fingerprint().encode(), self.tag.encode())

    def chunks(self, size: int, on_fault: FaultSink = refuse) -> Iterator[PairChunk]:
        """Yield the chunks of the tagged source, which know their tag."""
        for chunk in self.pairs.chunks(size, on_fault):
            yield replace(chunk, tag=self.tag)
