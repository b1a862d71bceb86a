"""Alignment error rate (AER), precision and recall of word links (Och & Ney 2003).

A is the set of links found, S the sure gold links and P the possible ones, with S a subset of P.
All counts are summed over the sentences of a corpus before any division.
"""

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from operator import add

from nmt.data.word_links import Link, Links
from nmt.errors import UserError


@dataclass(frozen=True)
class AlignmentScore:
    """Counts over a corpus, and the scores computed from them, each from 0 to 1.

    A ratio of 0 to 0 counts as 1: precision is 1 if no link was found, recall is 1 if no gold link
    is sure, and the error rate is 0 if both hold.

    Attributes:
        sentences: Number of sentence pairs.
        found: |A|.
        sure: |S|.
        possible: |P|, which includes the sure links.
        found_sure: |A and S|.
        found_possible: |A and P|.
    """

    sentences: int = 0
    found: int = 0
    sure: int = 0
    possible: int = 0
    found_sure: int = 0
    found_possible: int = 0

    @property
    def error_rate(self) -> float:
        """1 - (|A and S| + |A and P|) / (|A| + |S|); lower is better."""
        return 1 - _ratio(self.found_sure + self.found_possible, self.found + self.sure)

    @property
    def precision(self) -> float:
        """|A and P| / |A|."""
        return _ratio(self.found_possible, self.found)

    @property
    def recall(self) -> float:
        """|A and S| / |S|."""
        return _ratio(self.found_sure, self.sure)

    def with_pair(self, found: Collection[Link], gold: Links) -> "AlignmentScore":
        """Return the score with one more sentence pair counted."""
        links = frozenset(found)
        return AlignmentScore(
            self.sentences + 1,
            self.found + len(links),
            self.sure + len(gold.sure),
            self.possible + len(gold.possible),
            self.found_sure + len(links & gold.sure),
            self.found_possible + len(links & gold.possible),
        )

    def joined(self, other: "AlignmentScore") -> "AlignmentScore":
        """Return the score of both corpora together."""
        return AlignmentScore(*map(add, astuple(self), astuple(other)))


def score_links(found: Sequence[Collection[Link]], gold: Sequence[Links]) -> AlignmentScore:
    """Score the links of a corpus against its gold links.

    Raises:
        UserError: The numbers of sentences differ.
    """
    if len(found) != len(gold):
        raise UserError(
            f"there are alignments of {len(found):,} sentence pairs, but gold alignments of "
            f"{len(gold):,}; line i of both must be about the same pair"
        )
    score = AlignmentScore()
    for links, gold_links in zip(found, gold, strict=True):
        score = score.with_pair(links, gold_links)
    return score


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
