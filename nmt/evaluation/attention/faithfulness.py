"""Whether attention weights show what a model's prediction depends on.

For each piece of a given translation, the weights are compared with other measures of importance.
The change of the prediction is also measured when other weights replace them. The method follows
Jain & Wallace 2019 and Wiegreffe & Pinter 2019.

Legend: B batch, T target pieces with EOS, S source pieces without EOS, V vocabulary, R
permutations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nmt.evaluation.attention.exhaustive_erasure import MOST_PIECES, shapley_values
from nmt.evaluation.attention.interventions import (
    changed_cross_attention,
    recorded_self_attention,
    self_attentions,
)
from nmt.evaluation.attention.rank_correlation import Values
from nmt.evaluation.attention.teacher_forcing import forced_batch, forced_prediction, of_target
from nmt.model.adaptive_depth import AdaptiveDepth
from nmt.model.self_attention.low_rank_attention import LowRankAttention
from nmt.model.seq2seq import TranslationModel

PERMUTATIONS = 100
_BATCH = 32  # sentences at a time


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """The importance of each source piece for each target piece, by several measures.

    Attributes:
        attention: [T, S], the weights of the chosen layer and head.
        erasure: [T, S], the decrease of the target piece's log-probability without the source
            piece: leave-one-out (Li et al. 2016).
        exhaustive: [T, S], the Shapley value: the mean decrease over all subsets of the other
            source pieces; None for a source of more than 8 pieces.
        gradient: [T, S], \\|gradient of the log-probability · embedding\\| (Denil et al. 2014).
        rollout: [T, S], the weights times the attention rollout of the encoder (Abnar & Zuidema
            2020); None for an encoder without self-attention, with adaptive depth or with low-rank
            attention.
        permuted: [T], the median change of the distribution when the weights are permuted.
        uniform: [T], the change of the distribution when all weights are equal.
    """

    attention: Values
    erasure: Values
    exhaustive: Values | None
    gradient: Values
    rollout: Values | None
    permuted: Values
    uniform: Values


def measure(
    model: TranslationModel,
    source: Sequence[int],
    target: Sequence[int],
    *,
    layer: int,
    head: int | None,
    seed: int = 1,
) -> Faithfulness:
    """Measure one sentence pair by teacher forcing.

    A change of a distribution is its total variation distance, half the sum over the vocabulary of
    \\|p - q\\|, from 0 to 1.

    Args:
        model: In evaluation mode, in float32; its decoder attends.
        source: Piece ids, without EOS.
        target: Piece ids, without BOS and EOS.
        layer: Index among the decoder layers that attend.
        head: Index of the head; None: the mean of the layer's heads.
        seed: Seed of the permutations.
    """
    with torch.no_grad():
        weights, log_probs = forced_prediction(model, [source], target)
        chosen = weights[0, layer].mean(0) if head is None else weights[0, layer, head]
        erasure = _erasure(model, source, target, log_probs[0])
        short = len(source) <= MOST_PIECES
        exhaustive = shapley_values(model, source, target) if short else None
        rollout = _rollout(model, source, target, chosen)
        permuted = _permuted(model, source, target, log_probs[0], seed)
        with changed_cross_attention(model, _uniform):
            even = forced_prediction(model, [source], target)[1]
        uniform = _distance(log_probs, even)[0]
    return Faithfulness(
        attention=_array(chosen[:, :-1]),
        erasure=_array(erasure),
        exhaustive=None if exhaustive is None else _array(exhaustive),
        gradient=_array(_gradient(model, source, target)),
        rollout=None if rollout is None else _array(rollout[:, :-1]),
        permuted=_array(permuted),
        uniform=_array(uniform),
    )


def _erasure(
    model: TranslationModel, source: Sequence[int], target: Sequence[int], whole: Tensor
) -> Tensor:
    """Return the decrease [T, S] of each target piece's log-probability without a source piece."""
    target_ids = forced_batch(model, [source], target).target_output_ids
    rows = []
    shortened = [[*source[:i], *source[i + 1 :]] for i in range(len(source))]
    for start in range(0, len(shortened), _BATCH):
        log_probs = forced_prediction(model, shortened[start : start + _BATCH], target)[1]
        rows.append(of_target(log_probs, target_ids.expand(len(log_probs), -1)))
    return of_target(whole[None], target_ids)[0][:, None] - torch.cat(rows).T


def _gradient(model: TranslationModel, source: Sequence[int], target: Sequence[int]) -> Tensor:
    """Return |gradient · embedding| [T, S]; row t of a batch gives the gradients of piece t."""
    embedded: list[Tensor] = []

    def keep(_module: object, _arguments: object, output: Tensor) -> Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    steps = len(target) + 1
    rows = []
    for start in range(0, steps, _BATCH):
        chosen = torch.arange(start, min(start + _BATCH, steps))
        batch = forced_batch(model, [source] * len(chosen), target)
        with torch.enable_grad():
            hook = model.encoder.embedding.register_forward_hook(keep)
            try:
                output = model(batch.source_ids, batch.source_mask, batch.target_input_ids)
            finally:
                hook.remove()
            log_probs = model.predictions(output).log_softmax(-1)
            each = of_target(log_probs, batch.target_output_ids)
            total = each[torch.arange(len(chosen)), chosen].sum()
            vectors = embedded.pop()
            (gradient,) = torch.autograd.grad(total, vectors)
        rows.append((gradient * vectors).sum(-1).abs().detach()[:, : len(source)])
    return torch.cat(rows)


def _rollout(
    model: TranslationModel, source: Sequence[int], target: Sequence[int], weights: Tensor
) -> Tensor | None:
    """Return weights [T, S + 1] times the encoder's rollout.

    rollout_l = (A_l + I) / 2 · rollout_(l-1), with A_l the mean over the heads of layer l. With
    adaptive depth, the output is a mean of the layers' states, for which the formula does not hold.
    Weights of low-rank attention may be negative and do not sum to 1, so A is no distribution.
    """
    adaptive = isinstance(getattr(model.encoder, "depth", None), AdaptiveDepth)
    attentions = self_attentions(model)
    low_rank = any(isinstance(attention, LowRankAttention) for attention in attentions)
    if adaptive or low_rank or not attentions:
        return None
    with recorded_self_attention(model) as layers:
        forced_prediction(model, [source], target)
    rollout = torch.eye(len(source) + 1, device=weights.device)
    for attention in layers:
        mixed = (attention[0].mean(0) + torch.eye(len(rollout), device=weights.device)) / 2
        rollout = mixed @ rollout
    return weights @ rollout


def _permuted(
    model: TranslationModel,
    source: Sequence[int],
    target: Sequence[int],
    log_probs: Tensor,
    seed: int,
) -> Tensor:
    """Return the median change [T] over R permutations; each step has its own permutation."""
    random = torch.Generator().manual_seed(seed)

    def permute(weights: Tensor) -> Tensor:
        order = torch.rand(weights.shape, generator=random).argsort(-1).to(weights.device)
        return weights.gather(-1, order)

    distances = []
    for start in range(0, PERMUTATIONS, _BATCH):
        count = min(_BATCH, PERMUTATIONS - start)
        with changed_cross_attention(model, permute):
            changed = forced_prediction(model, [source] * count, target)[1]
        distances.append(_distance(log_probs[None], changed))
    return torch.cat(distances).median(0).values


def _uniform(weights: Tensor) -> Tensor:
    return torch.full_like(weights, 1 / weights.size(-1))


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """Return the total variation distance [B, T] of log-distributions [B, T, V]."""
    return (first.exp() - second.exp()).abs().sum(-1) / 2


def _array(values: Tensor) -> Values:
    return np.asarray(values.detach().double().cpu().numpy())
