"""Attention against its formulas, written out here a pair at a time in float64.

Legend: B batch, T queries, S states, Q and M their sizes, A additive size, H heads, K head size.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.core import Attention, masked_softmax
from nmt.model.attention.luong import DotAttention, GeneralAttention
from nmt.model.attention.multi_head import MultiHeadAttention

Score = Callable[[Tensor, Tensor], Tensor]

# The softmax is taken in float32, whose rounding (6e-8) over a step of 3e-3 makes slopes err by
# some 2e-5, as does the curvature over such a step; at the usual step of 1e-6 they would be noise.
IN_FLOAT32 = {"eps": 3e-3, "atol": 1e-3, "rtol": 1e-3}


def additive_score(attention: AdditiveAttention) -> Score:
    W, U = attention.query_projection.weight, attention.key_projection.weight
    b, v = attention.key_projection.bias, attention.score_vector.weight[0]
    return lambda query, state: v @ torch.tanh(W @ query + U @ state + b)


def general_score(attention: GeneralAttention) -> Score:
    return lambda query, state: query @ attention.key_projection.weight @ state


def build(kind: str, query_size: int, memory_size: int) -> tuple[Attention, Score]:
    """An attention in float64 and its score of one query and one (resized) state."""
    if kind == "additive":
        additive = AdditiveAttention(query_size, memory_size, 5).double()
        return additive, additive_score(additive)
    if kind == "general":
        general = GeneralAttention(query_size, memory_size).double()
        return general, general_score(general)
    return DotAttention(query_size, memory_size).double(), torch.dot


def written_out(
    score: Score, queries: Tensor, keys: Tensor, mask: Tensor, values: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Contexts [B, T, M] of values (if not given: the keys) and weights [B, T, S], one by one."""
    values = keys if values is None else values
    weights = queries.new_zeros(*queries.shape[:2], keys.size(1))
    for b, t in torch.cartesian_prod(*(torch.arange(n) for n in queries.shape[:2])).tolist():
        powers = {
            s: math.exp(score(queries[b, t], keys[b, s])) for s in range(keys.size(1)) if mask[b, s]
        }
        for s, power in powers.items():
            weights[b, t, s] = power / sum(powers.values())
    return torch.einsum("bts,bsm->btm", weights, values), weights


def random_mask(batch: int, length: int) -> Tensor:
    """True on at least one state of every row, not on a prefix only."""
    mask = torch.rand(batch, length) < 0.6
    mask[torch.arange(batch), torch.randint(length, (batch,))] = True
    return mask


def random_sizes() -> list[int]:
    return torch.randint(1, 6, (5,)).tolist()


SINGLE = [("additive", False), ("general", False), ("dot", False), ("dot", True)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kind", "equal_sizes"), SINGLE)
def test_attention_is_its_formula(kind: str, seed: int, *, equal_sizes: bool) -> None:
    torch.manual_seed(seed)
    B, T, S, Q, M = random_sizes()
    M = Q if equal_sizes else M + 6
    attention, score = build(kind, Q, M)
    queries = torch.randn(B, T, Q, dtype=torch.float64)
    states = torch.randn(B, S, M, dtype=torch.float64)
    mask = random_mask(B, S)
    with torch.no_grad():
        resized = attention.resize(states) if isinstance(attention, DotAttention) else states
        context, weights = written_out(score, queries, resized, mask)
        found = attention(queries, attention.memory(states, mask))
    # The softmax is taken in float32.
    torch.testing.assert_close(found.weights.double(), weights, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.context, context, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "equal_sizes"), SINGLE)
def test_scores_have_the_gradient_of_their_formula(kind: str, *, equal_sizes: bool) -> None:
    attention, _ = build(kind, 3, 3 if equal_sizes else 4)
    queries = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    states = torch.randn(2, 4, 3 if equal_sizes else 4, dtype=torch.float64, requires_grad=True)
    mask = random_mask(2, 4)

    def scores(queries: Tensor, states: Tensor, *_: Tensor) -> Tensor:
        return attention.scores(queries, attention.memory(states, mask).keys)

    def context(queries: Tensor, states: Tensor, *_: Tensor) -> Tensor:
        return attention(queries, attention.memory(states, mask)).context

    inputs = (queries, states, *attention.parameters())
    assert torch.autograd.gradcheck(scores, inputs)
    assert torch.autograd.gradcheck(context, inputs, **IN_FLOAT32)


def test_dot_attention_of_equal_sizes_has_nothing_to_learn() -> None:
    assert not list(DotAttention(6, 6).parameters())


# ------------------------------------------------------------------- multi-head


def heads_written_out(
    attention: MultiHeadAttention, queries: Tensor, states: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """softmax(Q K^T / sqrt(K)) V head by head, joined and projected."""
    size = attention.query_projection.out_features
    both, bias = attention.key_value_projection.weight, attention.key_value_projection.bias
    projected = attention.query_projection(queries)
    keys = states @ both[:size].T + bias[:size]
    values = states @ both[size:].T + bias[size:]
    K = size // attention.num_heads
    contexts, weights = [], []
    for head in range(attention.num_heads):
        part = slice(head * K, (head + 1) * K)
        context, seen = written_out(
            lambda query, key: query @ key / math.sqrt(K),
            projected[..., part],
            keys[..., part],
            mask,
            values[..., part],
        )
        contexts.append(context)
        weights.append(seen)
    return attention.output_projection(torch.cat(contexts, dim=-1)), torch.stack(weights, dim=1)


@pytest.mark.parametrize("seed", range(4))
def test_multi_head_attention_is_its_formula(seed: int) -> None:
    torch.manual_seed(seed)
    B, T, S, H, K = random_sizes()
    attention = MultiHeadAttention(H * K, H * K + seed, H, dropout=0.0).double().eval()
    queries = torch.randn(B, T, H * K, dtype=torch.float64)
    states = torch.randn(B, S, H * K + seed, dtype=torch.float64)
    mask = random_mask(B, S)
    with torch.no_grad():
        context, weights = heads_written_out(attention, queries, states, mask)
        memory = attention.memory(states, mask[:, None, None])
        for need_weights in (True, False):  # the explicit products, then the fused kernel
            found = attention(queries, memory, need_weights=need_weights)
            torch.testing.assert_close(found.context, context, rtol=1e-5, atol=1e-5)
        explicit = attention(queries, memory, need_weights=True)
    torch.testing.assert_close(explicit.weights.double(), weights, rtol=1e-5, atol=1e-6)


def test_multi_head_attention_has_the_gradient_of_its_formula() -> None:
    attention = MultiHeadAttention(4, 3, 2, dropout=0.0).double()
    queries = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    states = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    mask = random_mask(2, 4)[:, None, None]

    def context(queries: Tensor, states: Tensor, *_: Tensor) -> Tensor:
        return attention(queries, attention.memory(states, mask), need_weights=False).context

    inputs = (queries, states, *attention.parameters())
    assert torch.autograd.gradcheck(context, inputs, **IN_FLOAT32)


@pytest.mark.parametrize("memory_size", [12, 7])
def test_multi_head_attention_is_that_of_torch(memory_size: int) -> None:
    size, H = 12, 3
    attention = MultiHeadAttention(size, memory_size, H, dropout=0.0).eval()
    theirs = nn.MultiheadAttention(
        size, H, batch_first=True, kdim=memory_size, vdim=memory_size
    ).eval()
    query, both, out = (
        attention.query_projection,
        attention.key_value_projection,
        attention.output_projection,
    )
    keys, values = both.weight.chunk(2)
    with torch.no_grad():
        if memory_size == size:
            theirs.in_proj_weight.copy_(torch.cat([query.weight, keys, values]))
        else:
            theirs.q_proj_weight.copy_(query.weight)
            theirs.k_proj_weight.copy_(keys)
            theirs.v_proj_weight.copy_(values)
        theirs.in_proj_bias.copy_(torch.cat([query.bias, both.bias]))
        theirs.out_proj.load_state_dict(out.state_dict())
        queries, states = torch.randn(4, 5, size), torch.randn(4, 6, memory_size)
        mask = random_mask(4, 6)
        expected, expected_weights = theirs(
            queries, states, states, key_padding_mask=~mask, average_attn_weights=False
        )
        memory = attention.memory(states, mask[:, None, None])
        found = attention(queries, memory, need_weights=True)
    torch.testing.assert_close(found.context, expected)
    torch.testing.assert_close(found.weights, expected_weights)


def test_later_positions_extend_a_memory() -> None:
    attention = MultiHeadAttention(8, 8, 2, dropout=0.0).eval()
    states = torch.randn(3, 5, 8)
    with torch.no_grad():
        whole = attention.memory(states, None)
        later = attention.memory(states[:, 3:], None)
        grown = attention.memory(states[:, :3], None).extended(later.keys, later.values)
    torch.testing.assert_close(grown.keys, whole.keys)
    torch.testing.assert_close(grown.values, whole.values)


# ------------------------------------------------------------------ what all share


def test_a_row_with_nothing_to_attend_to_gets_weights_of_zero() -> None:
    scores = torch.randn(2, 3, 4, requires_grad=True)
    mask = torch.tensor([[True, False, True, True], [False] * 4])[:, None]
    weights = masked_softmax(scores, mask)
    assert (weights[1] == 0).all(), f"a fully masked row gives {weights[1]}"
    torch.testing.assert_close(weights[0].sum(-1), torch.ones(3))
    assert (weights[0, :, 1] == 0).all()


def test_the_softmax_survives_large_scores() -> None:
    weights = masked_softmax(torch.tensor([[3e4, -3e4, 3e4]]), None)
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.0, 0.5]]))


def test_weights_of_bfloat16_scores_sum_to_one_in_float32() -> None:
    # Each of 1000 equal weights is 0.001; a bfloat16 would make their sum wrong by up to 0.4 %.
    weights = masked_softmax(torch.zeros(1, 1000, dtype=torch.bfloat16), None)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("kind", ["additive", "general", "dot"])
def test_a_memory_in_bfloat16_can_be_attended_to(kind: str) -> None:
    attention, _ = build(kind, 6, 8)
    attention.float()
    queries, states, mask = torch.randn(3, 2, 6), torch.randn(3, 5, 8), random_mask(3, 5)
    exact = attention(queries, attention.memory(states, mask))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        memory = attention.memory(states.bfloat16(), mask)
        assert memory.keys.dtype == torch.bfloat16
        rough = attention(queries, memory)  # the query is still in float32, as a first state is
    assert (rough.weights.masked_select(~mask[:, None]) == 0).all()
    # Scores of a few units err by a few times 2^-8, contexts likewise.
    torch.testing.assert_close(rough.weights, exact.weights, rtol=0, atol=0.05)
    torch.testing.assert_close(rough.context.float(), exact.context, rtol=0, atol=0.1)
