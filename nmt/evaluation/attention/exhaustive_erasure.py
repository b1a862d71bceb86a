"""Shapley values: the importance of source pieces over all subsets of the source.

Leave-one-out erasure removes one piece while all others stay. If two pieces have the same meaning,
it gives neither any importance, because the other one remains. Shapley values (Shapley 1953;
Lundberg & Lee 2017, section 2.4) average the effect of a piece over all subsets of the other
pieces. A sentence of S pieces needs 2^S predictions, so only short sentences have such values.
"""

from collections.abc import Sequence
from itertools import combinations
from math import comb

import torch
from torch import Tensor

from nmt.evaluation.attention.teacher_forcing import (
    Pieces,
    forced_batch,
    forced_prediction,
    of_target,
)
from nmt.model.seq2seq import TranslationModel

MOST_PIECES = 8
"""The greatest number of source pieces for Shapley values: 2^8 = 256 predictions."""

_BATCH = 64  # subsets at a time


def shapley_values(model: TranslationModel, source: Pieces, target: Pieces) -> Tensor:
    """Return the Shapley value [T, S] of each source piece for each target piece.

    value(i) = sum over sets A without i: (v(A + i) - v(A)) / (S binomial(S - 1, |A|))

    v(A) is the log-probability of the target piece for a source that has only the pieces A, in
    their order. The values of a target piece add up to v(whole source) - v(empty source).

    Args:
        model: In evaluation mode.
        source: S piece ids, without EOS.
        target: Piece ids, without BOS and EOS; T counts EOS.
    """
    size = len(source)
    of_kept = {
        kept: value
        for count in range(size + 1)
        for kept, value in _of_count(model, source, target, count)
    }
    found = torch.zeros(len(target) + 1, size)
    for kept, value in of_kept.items():
        for i in set(range(size)).difference(kept):
            gain = of_kept[tuple(sorted((*kept, i)))] - value
            found[:, i] += gain / (size * comb(size - 1, len(kept)))
    return found


def _of_count(
    model: TranslationModel, source: Pieces, target: Pieces, count: int
) -> Sequence[tuple[tuple[int, ...], Tensor]]:
    """Return each set of ``count`` kept positions with the log-probabilities [T] of the target."""
    kept = list(combinations(range(len(source)), count))
    values: list[Tensor] = []
    for start in range(0, len(kept), _BATCH):
        sources = [[source[i] for i in places] for places in kept[start : start + _BATCH]]
        log_probs = forced_prediction(model, sources, target)[1]
        target_ids = forced_batch(model, sources, target).target_output_ids
        values.extend(of_target(log_probs, target_ids).cpu())
    return list(zip(kept, values, strict=True))
