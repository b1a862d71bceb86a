"""When the search of a sentence may end before N hypotheses are finished.

A live hypothesis has log-probability L, and each appended piece lowers L. The length penalty lp
rises with the length. So a continuation of at most T pieces has at most the score L / lp(T). The
search may end when this bound is, for every live hypothesis, no better than the scores of the K
best finished hypotheses: a longer search would return the same K.

The score of a live hypothesis rarely rises with many more pieces. So a likely bound is the score
that it would have if it ended with the next piece, L / lp(t + 1). Without a length penalty, this
bound is exact. With a length penalty, it ends a search sooner.

Legend: A sentences, N beams, K finished hypotheses that are wanted.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.decoding.hypothesis import length_penalty

_SLACK = 1e-5
"""Share by which a bound is raised, so that rounding in float32 never makes it too low."""


@dataclass(frozen=True)
class BestFinished:
    """The scores of the best finished hypotheses, and the bounds of all others.

    Attributes:
        scores: [A, K], best first; -inf where fewer are finished.
        divisors: [A], the length penalty of the longest translation.
        penalties: [T + 2], the length penalty of each length.
        likely: Whether the likely bound is used.
    """

    scores: Tensor
    divisors: Tensor
    penalties: Tensor
    likely: bool

    @classmethod
    def empty(
        cls, limits: Tensor, steps: int, alpha: float, wanted: int, *, likely: bool
    ) -> "BestFinished":
        """Begin a search.

        Args:
            limits: [A], the greatest number of pieces, EOS included.
            steps: The greatest of the limits.
            alpha: Strength of the length penalty, at least 0.
            wanted: K.
            likely: Whether the likely bound is used.
        """
        lengths = range(steps + 2)
        penalties = torch.tensor([length_penalty(length, alpha) for length in lengths])
        penalties = penalties.to(limits.device)
        scores = penalties.new_full((len(limits), wanted), float("-inf"))
        return cls(scores, penalties[limits], penalties, likely)

    def with_ended(self, ended: Tensor, step: Tensor) -> "BestFinished":
        """Add hypotheses that ended in a step.

        Args:
            ended: [A, N], their log-probabilities; -inf where none ended.
            step: [1], the number of pieces before EOS.
        """
        scores = ended / self.penalties[step + 1]
        best = torch.cat([self.scores, scores], dim=1).topk(self.scores.size(1))
        return replace(self, scores=best.values)

    def are_best(self, live: Tensor, step: Tensor) -> Tensor:
        """Return for which sentences the K best are not expected to change, [A] bool.

        Args:
            live: [A, N], the log-probabilities of the live hypotheses after the step.
            step: [1], the number of earlier steps.
        """
        divisors = self.penalties[step + 2] if self.likely else self.divisors
        bound = live.amax(dim=1) / divisors
        return self.scores[:, -1] >= bound * (1 - _SLACK)

    def select(self, kept: Tensor) -> "BestFinished":
        """Return only the sentences at these places [R]."""
        return replace(self, scores=self.scores[kept], divisors=self.divisors[kept])
