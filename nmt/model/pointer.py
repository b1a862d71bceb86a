"""Copying from the source by a pointer (See, Liu & Manning 2017, section 2.2).

c_t is the context, s_t the state of the decoder, and x_t the embedding of the previous piece. The
probability that the decoder generates the next piece, instead of copying it, is

    p_gen = sigmoid(w_c · c_t + w_s · s_t + w_x · x_t + b)

a_ti is the attention weight of source piece i. The distribution of the next piece w is

    P(w) = p_gen · P_vocab(w) + (1 - p_gen) · sum of a_ti over all source positions i of w

Source and target share one vocabulary, so the extended vocabulary of the paper is not needed. The
decoder may copy every piece of the source, EOS included. The logarithm of P is computed from the
logarithms of both terms.

Legend: B batch, T target length, S source length, V vocabulary, N rows. "..." is [B, T], [N], or
the rows of one step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.kernels.precision import at_least_float32, tiny


@dataclass(frozen=True)
class Copying:
    """The probability of copying, and the distribution of the copied piece.

    Attributes:
        gate: [...], the logit of p_gen.
        weights: [..., S], the attention to the pieces of the source; rows sum to 1.
        source_ids: [..., S], the pieces of the source.
    """

    gate: Tensor
    weights: Tensor
    source_ids: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> "Copying":
        """Apply a function to each tensor, e.g. to select rows."""
        tensors = self.gate, self.weights, self.source_ids
        return Copying(*(function(tensor) for tensor in tensors))

    def log_shares(self) -> tuple[Tensor, Tensor]:
        """Return log p_gen and log(1 - p_gen), each [...], in float32 at least."""
        gate = at_least_float32(self.gate)
        return functional.logsigmoid(gate), functional.logsigmoid(-gate)

    def log_copied(self, pieces: Tensor) -> Tensor:
        """Return the logarithm [...] of the attention to the source positions of ``pieces`` [...].

        If the source does not contain a piece, the result is -inf without a gradient.
        """
        attended = self.weights.masked_fill(self.source_ids != pieces[..., None], 0.0)
        return log_or_never(at_least_float32(attended.sum(-1)))


class Pointer(nn.Module):
    """Computes p_gen."""

    def __init__(self, context_size: int, state_size: int, embedding_size: int) -> None:
        """Build the layer for contexts, decoder states and embeddings of these sizes."""
        super().__init__()
        self.gate = nn.Linear(context_size + state_size + embedding_size, 1)

    def forward(self, contexts: Tensor, states: Tensor, embedded: Tensor) -> Tensor:
        """Return the logits [...] of p_gen."""
        joined = [contexts.type_as(states), states, embedded.type_as(states)]
        gate: Tensor = self.gate(torch.cat(joined, dim=-1))
        return gate.squeeze(-1)


def mixed_log_probs(logits: Tensor, copying: Copying) -> Tensor:
    """Return log P(w) of all pieces, [..., V], given the logits of P_vocab, in float32 at least."""
    generates, copies = (share[..., None] for share in copying.log_shares())
    generated = generates + at_least_float32(logits).log_softmax(-1)
    weights = copying.weights.type_as(generated)
    copied = torch.zeros_like(generated).scatter_add(-1, copying.source_ids, weights)
    return torch.logaddexp(generated, copies + log_or_never(copied))


def log_or_never(probabilities: Tensor) -> Tensor:
    """Return logarithms. If a probability is 0, the result is -inf without a gradient."""
    logarithms = probabilities.clamp_min(tiny(probabilities)).log()
    return logarithms.masked_fill(probabilities == 0, float("-inf"))
