"""Adjusters change the log-probabilities of the next pieces, in search and in sampling.

An adjuster stores values for each hypothesis. Search reorders them with the beams, and removes them
with the sentences. All operations run on the device, and shapes are the same in every step.

Legend: A sentences in the search, N beams, M beams before a step (1 before the first step, then N),
V vocabulary, T greatest target length, W windows of n pieces.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.text.special_tokens import EOS, PAD

NEVER = float("-inf")


class ScoreAdjuster(ABC):
    """Changes the scores of the pieces that may follow a hypothesis, or excludes pieces.

    Adjusters are frozen dataclasses of tensors and numbers, like the states of decoders.
    """

    @abstractmethod
    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Return the changed scores [A, M, V] in a new tensor, or ``scores`` if nothing changes.

        Args:
            scores: [A, M, V], the log-probabilities after the changes of earlier adjusters.
            log_probs: [A, M, V], of the model.
            step: [1], the number of pieces of the hypotheses.
        """

    def extended(self, parents: Tensor, pieces: Tensor) -> Self:
        """Return the adjuster after a step: beam n of a sentence extends ``parents[a, n]``.

        Args:
            parents: [A, N].
            pieces: [A, N], the piece that each new beam appends.
        """
        return self

    def select(self, sentences: Tensor) -> Self:
        """Return only the sentences with these indices [R], which may repeat."""
        return self


Adjusters = tuple[ScoreAdjuster, ...]


@dataclass(frozen=True)
class ExcludedPiece(ScoreAdjuster):
    """Excludes a piece from some sentences.

    Attributes:
        sentences: [A] bool, whether the piece is excluded from the sentence.
        piece: [1].
    """

    sentences: Tensor
    piece: Tensor

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Exclude the piece."""
        excluded = scores.index_fill(2, self.piece, NEVER)
        return torch.where(self.sentences[:, None, None], excluded, scores)

    def select(self, sentences: Tensor) -> "ExcludedPiece":
        """Return only some sentences."""
        return replace(self, sentences=self.sentences[sentences])


def adjusters_of(options: DecodingConfig, lengths: Tensor, limits: Tensor, steps: int) -> Adjusters:
    """Return the adjusters for the settings.

    Args:
        options: The settings.
        lengths: [A], numbers of source pieces, EOS included.
        limits: [A], the greatest numbers of target pieces, EOS included.
        steps: T.
    """
    found: list[ScoreAdjuster] = []
    written = torch.full((len(lengths), 1, max(1, steps)), PAD, device=lengths.device)
    if options.repetition_penalty != 1:
        found.append(RepetitionPenalty(written, options.repetition_penalty))
    if options.no_repeat_ngram:
        found.append(NoRepeatedNgram(written, options.no_repeat_ngram))
    if options.min_length_ratio or options.min_length_extra:
        shortest = (lengths * options.min_length_ratio).long() + options.min_length_extra
        found.append(MinimumLength(torch.minimum(shortest, limits)))
    return tuple(found)


def adjusted(adjusters: Sequence[ScoreAdjuster], log_probs: Tensor, step: Tensor) -> Tensor:
    """Return the scores [A, M, V] of the next pieces.

    If all pieces of a hypothesis are excluded, EOS keeps its log-probability, so the hypothesis
    ends.
    """
    scores = log_probs
    for adjuster in adjusters:
        scores = adjuster.adjust(scores, log_probs, step)
    if scores is log_probs:
        return scores
    stuck = scores.amax(2) == NEVER  # [A, M]
    scores[:, :, EOS] = torch.where(stuck, log_probs[:, :, EOS], scores[:, :, EOS])
    return scores


@dataclass(frozen=True)
class MinimumLength(ScoreAdjuster):
    """Excludes EOS until the hypothesis has a minimum number of pieces.

    Attributes:
        shortest: [A], the minimum number of pieces, EOS included.
    """

    shortest: Tensor

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Exclude EOS if it is too early."""
        early = (step + 1 < self.shortest)[:, None]  # [A, 1]
        scores = scores.clone()
        scores[:, :, EOS] = scores[:, :, EOS].masked_fill(early, NEVER)
        return scores

    def select(self, sentences: Tensor) -> "MinimumLength":
        """Return only some sentences."""
        return MinimumLength(self.shortest[sentences])


@dataclass(frozen=True)
class _Written(ScoreAdjuster):
    """Base class of adjusters that use the earlier pieces of the hypotheses.

    Attributes:
        written: [A, M, T], PAD, then the pieces of each hypothesis.
    """

    written: Tensor

    def extended(self, parents: Tensor, pieces: Tensor) -> Self:
        """Append the new pieces to the pieces of the parents."""
        before = self.written.gather(1, parents[:, :, None].expand(-1, -1, self.written.size(2)))
        return replace(self, written=torch.cat([before[:, :, 1:], pieces[:, :, None]], dim=2))

    def select(self, sentences: Tensor) -> Self:
        """Return only some sentences."""
        return replace(self, written=self.written[sentences])


@dataclass(frozen=True)
class RepetitionPenalty(_Written):
    """Lowers the scores of pieces that the hypothesis contains (Keskar et al. 2019, section 4.1).

    The paper divides the logits of these pieces by theta, which lowers only positive logits. A
    log-probability is never positive. So here it is multiplied by theta, and p becomes p^theta. The
    probabilities of the other pieces do not change: the distribution is not normalized again.

    Attributes:
        theta: At least 1; with 1, no score changes.
    """

    theta: float

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Multiply the scores of the pieces of the hypothesis by theta."""
        lowered = scores.gather(2, self.written) * self.theta
        return scores.scatter(2, self.written, lowered)


@dataclass(frozen=True)
class NoRepeatedNgram(_Written):
    """Excludes repeated n-grams of pieces in a hypothesis (Paulus et al. 2018, section 2.5).

    Attributes:
        size: n.
    """

    size: int

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Exclude the pieces that would repeat an n-gram of the hypothesis."""
        if self.written.size(2) < self.size:
            return scores
        windows = self.written.unfold(2, self.size, 1)  # [A, M, W, n]
        # The last n - 1 pieces are the beginning of the new n-gram.
        last = self.written[:, :, None, self.written.size(2) - self.size + 1 :]
        repeated = (windows[..., :-1] == last).all(3)
        # Other windows exclude PAD, which search never allows.
        excluded = windows[..., -1].masked_fill(~repeated, PAD)
        return scores.scatter(2, excluded, NEVER)
