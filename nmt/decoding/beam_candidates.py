"""Divides the candidates of a step of search into live and ended hypotheses.

Legend: A sentences in the search, C candidates of each, G groups of K beams.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.decoding.score_adjusters import NEVER
from nmt.kernels.prediction.best_continuations import Candidates
from nmt.text.special_tokens import EOS


def split(
    candidates: Candidates, size: int, active: Tensor, *, by_score: bool = True
) -> tuple[Candidates, Candidates, Tensor]:
    """Return the K best unfinished candidates, the ended ones among the K best, and their number.

    Args:
        candidates: At least 2 K. At most K of them have EOS, one per beam.
        size: K.
        active: [A] bool, whether hypotheses may still end.
        by_score: Whether the candidates are sorted by score.
    """
    # A score of -inf means that the beam is unused or the piece is excluded.
    is_end = (candidates.pieces == EOS) & (candidates.scores > NEVER)
    ends = is_end[:, :size] & active[:, None]
    unfinished = candidates.scores.masked_fill(is_end, NEVER)
    if by_score:
        scores, order = unfinished.topk(size)
    else:
        order = is_end.to(torch.uint8).argsort(dim=1, stable=True)[:, :size]
        scores = unfinished.gather(1, order)
    pieces, beams = (of.gather(1, order) for of in (candidates.pieces, candidates.beams))
    end_scores = torch.where(ends, candidates.scores[:, :size], NEVER)
    ended = Candidates(end_scores, candidates.beams[:, :size], candidates.pieces[:, :size])
    return Candidates(scores, beams, pieces), ended, ends.sum(1, keepdim=True)


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return the candidates of all groups, [A, G · K]."""
    return Candidates(
        torch.cat([part.scores for part in parts], dim=1),
        torch.cat([part.beams for part in parts], dim=1),
        torch.cat([part.pieces for part in parts], dim=1),
    )
