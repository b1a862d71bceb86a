"""Scores of additive attention: v · tanh(q + k) for every query and key.

Without gradients on a CPU, the fast path computes the sums q + k of a few sentences at a time, and
overwrites them, so they stay in the cache of the processor. The sums are float32 for every dtype of
the linear layers, because a CPU computes tanh in float32 three times as fast as in bfloat16.

Legend: B batch, T target length, S source length, A size of the tanh layer.
"""

import torch
from torch import Tensor, nn

from nmt.kernels import dispatch
from nmt.kernels.precision import at_least_float32, without_autocast

VALUES_AT_ONCE = 1 << 17
"""Values of the sums in memory at a time: 512 KiB, about half of the cache of a core."""


def plain_additive_scores(queries: Tensor, keys: Tensor, score_vector: nn.Linear) -> Tensor:
    """Return v · tanh(q_t + k_s), [B, T, S].

    Args:
        queries: q, [B, T, A].
        keys: k, [B, 1 or T, S, A].
        score_vector: v, from A to 1.
    """
    hidden = (queries[:, :, None] + keys).tanh()  # [B, T, S, A]
    scores: Tensor = score_vector(hidden)
    return scores.squeeze(-1)


def additive_scores(queries: Tensor, keys: Tensor, score_vector: nn.Linear) -> Tensor:
    """Return the result of `plain_additive_scores`; faster without gradients on a CPU."""
    if not dispatch.works_in_place(keys):
        return plain_additive_scores(queries, keys, score_vector)
    batch, length, size = queries.shape
    source_length = keys.size(2)
    exact = at_least_float32(queries)
    vector = score_vector.weight[0].to(queries.dtype).to(exact.dtype)  # as autocast rounds it
    scores = exact.new_empty(batch, length, source_length)
    sentences = max(1, VALUES_AT_ONCE // max(1, length * source_length * size))
    hidden = exact.new_empty(min(sentences, batch), length, source_length, size)
    with without_autocast(queries):
        for start in range(0, batch, sentences):
            some = slice(start, start + sentences)
            mine = exact[some, :, None]
            sums = torch.add(mine, at_least_float32(keys[some]), out=hidden[: len(mine)])
            scores[some] = sums.tanh_() @ vector
    return scores
