"""A forced prefix: the given first pieces of a translation.

Legend: A sentences in the search, M beams before a step, V vocabulary, P greatest prefix length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.decoding.score_adjusters import NEVER, ScoreAdjuster


@dataclass(frozen=True)
class ForcedPrefix(ScoreAdjuster):
    """Allows only the next piece of the prefix; the piece keeps its log-probability.

    Attributes:
        prefixes: [A, P], padded with 0.
        lengths: [A], the lengths of the prefixes.
        closed: [A] bool, whether a word must end after the prefix.
        continues_word: [V] bool, whether a piece continues the previous word.
    """

    prefixes: Tensor
    lengths: Tensor
    closed: Tensor
    continues_word: Tensor

    @classmethod
    def of(
        cls,
        prefixes: Sequence[Sequence[int]],
        closed: Sequence[bool],
        continues_word: Tensor,
        device: torch.device,
    ) -> "ForcedPrefix":
        """Take the prefix of each sentence; an empty prefix has no effect."""
        longest = max(1, *(len(prefix) for prefix in prefixes))
        padded = [[*prefix, *[0] * (longest - len(prefix))] for prefix in prefixes]
        lengths = [len(prefix) for prefix in prefixes]
        parts = torch.tensor(padded), torch.tensor(lengths), torch.tensor(closed), continues_word
        return cls(*(part.to(device) for part in parts))

    def adjust(self, scores: Tensor, log_probs: Tensor, step: Tensor) -> Tensor:
        """Exclude all pieces except the next piece of the prefix."""
        place = step.clamp_max(self.prefixes.size(1) - 1)
        piece = self.prefixes.index_select(1, place)[:, :, None]  # [A, 1, 1]
        piece = piece.expand(-1, scores.size(1), -1)
        forced = torch.full_like(scores, NEVER).scatter(2, piece, log_probs.gather(2, piece))
        scores = torch.where((step < self.lengths)[:, None, None], forced, scores)
        after = (step == self.lengths) & self.closed
        return scores.masked_fill(after[:, None, None] & self.continues_word, NEVER)

    def select(self, sentences: Tensor) -> "ForcedPrefix":
        """Return only some sentences."""
        return replace(
            self,
            prefixes=self.prefixes[sentences],
            lengths=self.lengths[sentences],
            closed=self.closed[sentences],
        )
