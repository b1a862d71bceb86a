"""When the search of a sentence ends.

A live hypothesis has log-probability L after t pieces. Each appended piece lowers L. The divisor
lp(T) of the score never falls with the number of pieces T. So no continuation of at most T pieces
has a score above L / lp(T): this is the certain bound. The score of a live hypothesis rarely rises
with many more pieces. So a likely bound is the score that the hypothesis would have if it ended
with the next piece, L / lp(t + 1). Without a length penalty, the two bounds are equal.

The search ends when N hypotheses are finished and the best of them is at least as good as the
likely bound of each live hypothesis. Without the second condition, a model that is certain of each
piece would lose its translation: N beginnings of it, each ended too soon, would fill the N places.

With N = 1, the search is greedy: it ends with the first finished hypothesis.

The search ends earlier when the K best finished hypotheses are at least as good as the bound of
each live hypothesis. With the certain bound, a longer search would return the same K.

Groups of beams search on their own: N is then the number of beams of a group.

Legend: A sentences, G groups of N beams, K finished hypotheses that are wanted.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig, EarlyStopping, LengthNormalization
from nmt.decoding.hypothesis import length_divisor

_SLACK = 1e-5
"""Share by which a bound is raised, so that rounding in float32 never makes it too low."""


@dataclass(frozen=True)
class BestFinished:
    """The scores of the best finished hypotheses, and the bounds of all others.

    Attributes:
        scores: [A, G, K], best first; -inf where fewer are finished.
        longest: [A, 1], the divisor of the score of the longest translation.
        now: [T], the divisor of a translation that ends in each step.
        next: [T], the divisor of one that ends in the step after it.
        early: Whose bound ends the search before N hypotheses are finished.
    """

    scores: Tensor
    longest: Tensor
    now: Tensor
    next: Tensor
    early: str

    @classmethod
    def empty(
        cls, limits: Tensor, steps: int, options: DecodingConfig, wanted: int | None
    ) -> "BestFinished":
        """Begin a search.

        Args:
            limits: [A], the greatest number of pieces, EOS included.
            steps: The greatest of the limits.
            options: The beams, the length penalty, and the bound that ends a search early.
            wanted: K; None: all N are wanted, so the search does not end early, and K is 1.
        """
        # The certain bound of a mean log-probability is near 0: no finished hypothesis reaches it.
        bounded = options.length_normalization != LengthNormalization.AVERAGE
        fewer = wanted is not None and wanted < options.beam_size and options.beam_groups == 1
        early = options.early_stopping if fewer and bounded else EarlyStopping.FULL
        alpha, kind = options.length_penalty, options.length_normalization
        lengths = [length_divisor(length, alpha, kind) for length in range(steps + 2)]
        of_length = torch.tensor(lengths, device=limits.device)
        shape = len(limits), options.beam_groups, wanted or 1
        scores = of_length.new_full(shape, float("-inf"))
        raised = of_length / (1 - _SLACK)  # a log-probability is negative
        return cls(scores, raised[limits, None], of_length[1:], raised[2:], early)

    def with_ended(self, ended: Tensor, step: Tensor) -> "BestFinished":
        """Add hypotheses that ended in a step.

        Args:
            ended: [A, G · N], their log-probabilities; -inf where none ended.
            step: [1], the number of pieces before EOS.
        """
        ended, divisor = self._of_groups(ended), self.now[step]
        if self.scores.size(2) == 1:
            best_ended = ended.amax(dim=2, keepdim=True) / divisor
            return replace(self, scores=torch.maximum(self.scores, best_ended))
        best = torch.cat([self.scores, ended / divisor], dim=2).topk(self.scores.size(2))
        return replace(self, scores=best.values)

    def ends_search(self, live: Tensor, step: Tensor, full: Tensor) -> Tensor:
        """Return the groups whose search ends, [A, G] bool.

        Args:
            live: [A, G · N], the log-probabilities of the live hypotheses after the step.
            step: [1], the number of earlier steps.
            full: [A, G] bool, where N hypotheses are finished.
        """
        most = self._of_groups(live).amax(dim=2)
        likely = most / self.next[step]
        ends = full & (self.scores[:, :, 0] >= likely)
        if self.early == EarlyStopping.FULL:
            return ends
        bound = likely if self.early == EarlyStopping.LIKELY else most / self.longest
        return ends | (self.scores[:, :, -1] >= bound)

    def _of_groups(self, beams: Tensor) -> Tensor:
        """Return values [A, G · N] as [A, G, N]."""
        return beams.view(len(beams), self.scores.size(1), -1)

    def select(self, kept: Tensor) -> "BestFinished":
        """Return only the sentences at these places [R]."""
        return replace(self, scores=self.scores[kept], longest=self.longest[kept])
