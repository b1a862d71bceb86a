"""How far word links are from what people drew: AER, precision and recall (Och & Ney 2003).

A is what was found, S the sure and P the possible gold links, S among P; all are summed over the
sentences of a corpus before anything is divided.
"""

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from operator import add

from nmt.data.word_links import Link, Links
from nmt.errors import UserError


@dataclass(frozen=True)
class AlignmentScore:
    """The sums of a corpus, and what follows from them, each from 0 to 1.

    Nothing out of nothing counts as right: where no link was found none is wrong (precision 1),
    where none is sure none was missed (recall 1), and where both hold the error rate is 0.

    Attributes:
        sentences: Pairs counted.
        found: |A|.
        sure: |S|.
        possible: |P|, the sure ones among them.
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
        return 1 - _share(self.found_sure + self.found_possible, self.found + self.sure)

    @property
    def precision(self) -> float:
        """|A and P| / |A|."""
        return _share(self.found_possible, self.found)

    @property
    def recall(self) -> float:
        """|A and S| / |S|."""
        return _share(self.found_sure, self.sure)

    def plus(self, found: Collection[Link], gold: Links) -> "AlignmentScore":
        """Return the score with one more sentence pair in its sums."""
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
        """Return the score of the sentences of both."""
        return AlignmentScore(*map(add, astuple(self), astuple(other)))


def score_links(found: Sequence[Collection[Link]], gold: Sequence[Links]) -> AlignmentScore:
    """Score the links of a corpus against its gold.

    Raises:
        UserError: There are not as many sentences of the one as of the other.
    """
    if len(found) != len(gold):
        raise UserError(
            f"there are alignments of {len(found):,} sentence pairs, but gold for {len(gold):,}; "
            "line i of both must be the same pair"
        )
    score = AlignmentScore()
    for links, wanted in zip(found, gold, strict=True):
        score = score.plus(links, wanted)
    return score


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
