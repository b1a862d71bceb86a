"""Continuations from which a step of search chooses.

Legend: A sentences in the search, C candidates of each.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from nmt.decoding.score_adjusters import NEVER


@dataclass(frozen=True)
class Candidates:
    """Continuations of each sentence, in the order in which they are chosen, all tensors [A, C].

    Attributes:
        scores: Of the whole hypothesis, the new piece included: its log-probability and penalties.
        beams: The beam that each candidate extends.
        pieces: The piece that it appends.
    """

    scores: Tensor
    beams: Tensor
    pieces: Tensor

    def padded(self, missing: int) -> "Candidates":
        """Return as many more candidates of -inf, where a sentence has too few continuations."""
        if missing <= 0:
            return self
        padding = 0, missing
        return Candidates(
            functional.pad(self.scores, padding, value=NEVER),
            functional.pad(self.beams, padding),
            functional.pad(self.pieces, padding),
        )
