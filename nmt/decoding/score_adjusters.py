"""Adjusters change the log-probabilities of the next pieces, in search and in sampling.

An adjuster stores values for each hypothesis. Search reorders these values with the beams, and
drops them with the sentences. All operations run on the device, with shapes that do not change from
step to step.

Legend: A sentences in the search, N beams, M beams before a step (1 before the first, then N), V
vocabulary, T greatest target length, W windows of n pieces.
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
    """Changes which pieces may follow a hypothesis, or how likely they count.

    Adjusters are frozen dataclasses of tensors and numbers, as the decoder's states are.
    """

    @abstractmethod
    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Return the changed scores [A, M, V], a new tensor, or the given one if nothing changes.

        Args:
            scores: [A, M, V], the log-probabilities after the changes of earlier adjusters.
            log_probs: [A, M, V], of the model.
            step: [1], the number of pieces that the hypotheses have.
        """

    def extended(self, parents: Tensor, pieces: Tensor) -> Self:
        """Return the adjuster after a step: beam n of a sentence extends ``parents[a, n]``.

        Args:
            parents: [A, N].
            pieces: [A, N], the piece that each new beam appends.
        """
        return self

    def select(self, sentences: Tensor) -> Self:
        """Return only the sentences at these places [R], which may repeat."""
        return self


Adjusters = tuple[ScoreAdjuster, ...]


@dataclass(frozen=True)
class ExcludedPiece(ScoreAdjuster):
    """Excludes a piece from some sentences.

    Attributes:
        sentences: [A] bool, from which sentences.
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
    """Return the adjusters that the settings ask for.

    Args:
        options: The settings.
        lengths: [A] source pieces, EOS included.
        limits: [A] the greatest number of target pieces, EOS included.
        steps: The greatest number of all steps, T.
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

    If no piece may follow a hypothesis, it ends: EOS keeps its log-probability.
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
    """EOS is excluded until the hypothesis has a minimum number of pieces.

    Attributes:
        shortest: [A], the least number of pieces, EOS included.
    """

    shortest: Tensor

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Exclude EOS where it comes too early."""
        early = (step + 1 < self.shortest)[:, None]  # [A, 1]
        scores = scores.clone()
        scores[:, :, EOS] = scores[:, :, EOS].masked_fill(early, NEVER)
        return scores

    def select(self, sentences: Tensor) -> "MinimumLength":
        """Return only some sentences."""
        return MinimumLength(self.shortest[sentences])


@dataclass(frozen=True)
class _Written(ScoreAdjuster):
    """The base of adjusters that read the pieces of the hypotheses.

    Attributes:
        written: [A, M, T], the pieces of each hypothesis, the last one at the end, PAD before the
            first.
    """

    written: Tensor

    def extended(self, parents: Tensor, pieces: Tensor) -> Self:
        """Append the new pieces to those of the parents."""
        before = self.written.gather(1, parents[:, :, None].expand(-1, -1, self.written.size(2)))
        return replace(self, written=torch.cat([before[:, :, 1:], pieces[:, :, None]], dim=2))

    def select(self, sentences: Tensor) -> Self:
        """Return only some sentences."""
        return replace(self, written=self.written[sentences])


@dataclass(frozen=True)
class RepetitionPenalty(_Written):
    """A piece that the hypothesis already has is less likely (Keskar et al. 2019, section 4.1).

    The paper divides the logit of such a piece by theta, which lowers only positive logits. A
    log-probability is never positive, so it is multiplied by theta here, and p becomes p^theta. The
    other pieces keep their probabilities: the distribution is not normalized again.

    Attributes:
        theta: At least 1; 1 changes nothing.
    """

    theta: float

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Multiply the scores of the pieces that occurred."""
        lowered = scores.gather(2, self.written) * self.theta
        return scores.scatter(2, self.written, lowered)


@dataclass(frozen=True)
class NoRepeatedNgram(_Written):
    """No hypothesis has the same n pieces in a row twice (Paulus et al. 2018, section 2.5).

    Attributes:
        size: n.
    """

    size: int

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Exclude the pieces that would complete an n-gram of the hypothesis again."""
        if self.written.size(2) < self.size:
            return scores
        windows = self.written.unfold(2, self.size, 1)  # [A, M, W, n]
        # The last n - 1 pieces are the beginning of the new n-gram.
        last = self.written[:, :, None, self.written.size(2) - self.size + 1 :]
        repeated = (windows[..., :-1] == last).all(3)
        # Other windows exclude PAD, which is excluded anyway.
        excluded = windows[..., -1].masked_fill(~repeated, PAD)
        return scores.scatter(2, excluded, NEVER)
