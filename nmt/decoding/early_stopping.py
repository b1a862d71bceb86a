"""When the search of a sentence ends.

A live hypothesis has the log-probability L after t pieces. A further piece never increases L. The
divisor lp(T) of the score never decreases with the number of pieces T. So no continuation of at
most T pieces has a score above L / lp(T): this is the certain bound. The score of a live hypothesis
rarely increases over many more pieces. So the likely bound is the score of the hypothesis if it
ends with the next piece, L / lp(t + 1). Without a length penalty, the two bounds are equal.

The search ends when N hypotheses are finished and the best of them is at least as good as the
likely bound of each live hypothesis. The second condition is needed if a model is certain of each
piece. Otherwise, the N hypotheses could be N beginnings of its translation that end too early.

With N = 1, the search is greedy: it ends with the first finished hypothesis.

The search ends earlier if the K best finished hypotheses are at least as good as the bound of each
live hypothesis. With the certain bound, a longer search would return the same K.

Groups of beams search separately: N is then the number of beams of a group.

Legend: A sentences, G groups of N beams, K finished hypotheses that are wanted.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig, EarlyStopping, LengthNormalization
from nmt.decoding.hypothesis import length_divisor

_SLACK = 1e-5
"""Share by which a bound is raised, so that it is not too low after rounding to float32."""


@dataclass(frozen=True)
class BestFinished:
    """The scores of the best finished hypotheses, and the divisors of the bounds.

    Attributes:
        scores: [A, G, K], best first; -inf if fewer are finished.
        longest: [A, 1], the divisor of the score of the longest translation.
        now: [T], for each step, the divisor of a translation that ends in this step.
        next: [T], for each step, the divisor of a translation that ends in the next step.
        early: The bound that may end the search before N hypotheses are finished.
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
            wanted: K; None: all N are wanted. Then the search does not end early, and K is 1.
        """
        # The certain bound of a mean log-probability is near 0, above all finished hypotheses.
        bounded = options.length_normalization != LengthNormalization.AVERAGE
        fewer = wanted is not None and wanted < options.beam_size and options.beam_groups == 1
        early = options.early_stopping if fewer and bounded else EarlyStopping.FULL
        alpha, kind = options.length_penalty, options.length_normalization
        lengths = [length_divisor(length, alpha, kind) for length in range(steps + 2)]
        of_length = torch.tensor(lengths, device=limits.device)
        shape = len(limits), options.beam_groups, wanted or 1
        scores = of_length.new_full(shape, float("-inf"))
        raised = of_length / (1 - _SLACK)  # raises bounds, because log-probabilities are negative
        return cls(scores, raised[limits, None], of_length[1:], raised[2:], early)

    def with_ended(self, ended: Tensor, step: Tensor) -> "BestFinished":
        """Add the hypotheses that ended in a step.

        Args:
            ended: [A, G · N], their log-probabilities; -inf: no hypothesis ended.
            step: [1], the number of pieces before EOS.
        """
        ended, divisor = self._of_groups(ended), self.now[step]
        if self.scores.size(2) == 1:
            best_ended = ended.amax(dim=2, keepdim=True) / divisor
            return replace(self, scores=torch.maximum(self.scores, best_ended))
        best = torch.cat([self.scores, ended / divisor], dim=2).topk(self.scores.size(2))
        return replace(self, scores=best.values)

    def ends_search(self, live: Tensor, step: Tensor, full: Tensor) -> Tensor:
        """Return which groups end their search, [A, G] bool.

        Args:
            live: [A, G · N], the log-probabilities of the live hypotheses after the step.
            step: [1], the number of earlier steps.
            full: [A, G] bool, whether N hypotheses are finished.
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
        """Return only the sentences with these indices [R]."""
        return replace(self, scores=self.scores[kept], longest=self.longest[kept])
