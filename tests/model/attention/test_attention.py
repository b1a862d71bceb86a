"""An RNN decoder's attention compared with the papers' formulas, pair by pair in float64.

Legend: B batch, T queries, S states, Q and M their sizes, A additive size, D half a window.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nmt.kernels.attention.scaled_dot_product import masked_softmax
from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.core import Attention
from nmt.model.attention.cosine import CosineAttention
from nmt.model.attention.dot import DotAttention
from nmt.model.attention.general import GeneralAttention
from nmt.model.attention.location import LocationAttention
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.recurrent_multi_head import RecurrentMultiHeadAttention
from nmt.model.attention.window import MonotonicWindow, PredictiveWindow, Window

A, P, HEADS = 5, 4, 2
SIZES = {"dot": (6, 6), "dot_resized": (6, 9), "scaled_dot": (6, 6)}
KINDS = [
    *("additive", "general", "dot", "dot_resized", "scaled_dot", "cosine", "location"),
    "multi_head",
]
WINDOWS = ["global", "local_m", "local_p"]


def build(kind: str, window: str = "global", size: int = 2) -> Attention:
    """An attention in float64 from queries of 6 to states of 9, or of 6 if sizes must be equal."""
    Q, M = SIZES.get(kind, (6, 9))
    windows: dict[str, Callable[[], Window | None]] = {
        "global": lambda: None,
        "local_m": lambda: MonotonicWindow(size),
        "local_p": lambda: PredictiveWindow(size, Q),
    }
    around = windows[window]()
    kinds: dict[str, Callable[[], Attention]] = {
        "additive": lambda: AdditiveAttention(Q, M, A, around),
        "general": lambda: GeneralAttention(Q, M, around),
        "dot": lambda: DotAttention(Q, M, around),
        "dot_resized": lambda: DotAttention(Q, M, around),
        "scaled_dot": lambda: DotAttention(Q, M, around, scaled=True),
        "cosine": lambda: CosineAttention(Q, M, around),
        "location": lambda: LocationAttention(Q, P, around),
        "multi_head": lambda: RecurrentMultiHeadAttention(Q, M, HEADS, around),
    }
    return kinds[kind]().double()


def heads_of(attention: Attention) -> int:
    return HEADS if isinstance(attention, RecurrentMultiHeadAttention) else 1


def score(
    attention: Attention, head: int, query: Tensor, state: Tensor, s: int, *, scaled: bool
) -> Tensor | None:
    """The papers' score of one query and the state at s; None where s cannot be attended to."""
    match attention:
        case AdditiveAttention():
            W, U = attention.query_projection.weight, attention.key_projection.weight
            b, v = attention.key_projection.bias, attention.score_vector.weight[0]
            return v @ torch.tanh(W @ query + U @ state + b)
        case GeneralAttention():
            return query @ attention.key_projection.weight @ state
        case DotAttention():
            return torch.dot(query, attention.resize(state)) * (math.sqrt(6) ** -1 if scaled else 1)
        case CosineAttention():
            strength = torch.log(1 + torch.exp(attention.key_strength(query)))[0]
            key = attention.key_projection.weight @ state
            return strength * (query @ key) / (query.norm() * key.norm())
        case LocationAttention():
            return attention.position_scores.weight[s] @ query if s < P else None
        case RecurrentMultiHeadAttention():
            part = slice(head * 3, head * 3 + 3)  # K = 6 / 2
            projected = attention.heads.query_projection(query)[part]
            return projected @ attention.heads.key_value_projection(state)[:6][part] / math.sqrt(3)
    raise AssertionError(attention)


def window_factor(window: Window | None, query: Tensor, s: int, t: int, length: int) -> float:
    """The factor of a window at position s for target position t: 0 outside, at most 1 inside."""
    if window is None:
        return 1.0
    if isinstance(window, MonotonicWindow):
        return float(abs(s - min(t, length - 1)) <= window.size)
    assert isinstance(window, PredictiveWindow)
    v, W = window.centre_vector.weight[0], window.centre_projection.weight
    centre = length / (1 + math.exp(-float(v @ torch.tanh(W @ query))))
    sigma = window.size / 2
    inside = abs(s - centre) <= window.size
    return math.exp(-((s - centre) ** 2) / (2 * sigma**2)) if inside else 0.0


def weights_written_out(
    kind: str, attention: Attention, queries: Tensor, states: Tensor, mask: Tensor, start: int
) -> Tensor:
    """Weights [B, H, T, S], computed element by element."""
    B, T, S = len(queries), queries.size(1), states.size(1)
    weights = queries.new_zeros(B, heads_of(attention), T, S)
    for b, h, t in torch.cartesian_prod(*map(torch.arange, weights.shape[:3])).tolist():
        query, length = queries[b, t], int(mask[b].sum())
        if isinstance(attention, LocationAttention):
            length = min(length, P)  # a window lies within what can be attended to
        powers = {}
        for s in range(S):
            factor = window_factor(attention.window, query, s, start + t, length)
            value = score(attention, h, query, states[b, s], s, scaled=kind == "scaled_dot")
            if mask[b, s] and factor and value is not None:
                powers[s] = (math.exp(value), factor)
        total = sum(power for power, _ in powers.values())
        for s, (power, factor) in powers.items():
            weights[b, h, t, s] = power / total * factor
    return weights


def context_written_out(attention: Attention, weights: Tensor, states: Tensor) -> Tensor:
    """The weighted sum of the values, [B, T, M]."""
    if isinstance(attention, RecurrentMultiHeadAttention):
        values = attention.heads.key_value_projection(states)[..., 6:]
        parts = [weights[:, h] @ values[..., 3 * h : 3 * h + 3] for h in range(HEADS)]
        return attention.heads.output_projection(torch.cat(parts, dim=-1))
    values = attention.resize(states) if isinstance(attention, DotAttention) else states
    return weights[:, 0] @ values


def prefix_mask(lengths: list[int]) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def as_heads(weights: Tensor) -> Tensor:
    return weights if weights.dim() == 4 else weights[:, None]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", KINDS)
def test_attention_equals_its_formula(kind: str, window: str, seed: int) -> None:
    torch.manual_seed(seed)
    attention = build(kind, window, size=1 + seed)
    Q, M = SIZES.get(kind, (6, 9))
    mask = prefix_mask([7, 1, 4])  # P = 4 lies below, at and above a length
    queries = torch.randn(3, 5, Q, dtype=torch.float64)
    states = torch.randn(3, 7, M, dtype=torch.float64)
    start = 2 * seed
    positions = torch.arange(start, start + 5)
    with torch.no_grad():
        weights = weights_written_out(kind, attention, queries, states, mask, start)
        context = context_written_out(attention, weights, states)
        found = attention(queries, attention.build_memory(states, mask), positions)
        torch.testing.assert_close(as_heads(found.weights), weights, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.context, context, rtol=0, atol=1e-6)
        single = attention.float()
        memory = single.build_memory(states.float(), mask)
        rough = single(queries.float(), memory, positions)
    torch.testing.assert_close(as_heads(rough.weights).double(), weights, rtol=0, atol=1e-4)
    torch.testing.assert_close(rough.context.double(), context, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "kind", ["additive", "general", "dot", "scaled_dot", "cosine", "multi_head"]
)
def test_a_mask_may_have_holes(kind: str) -> None:
    attention = build(kind)
    Q, M = SIZES.get(kind, (6, 9))
    queries = torch.randn(2, 3, Q, dtype=torch.float64)
    states = torch.randn(2, 5, M, dtype=torch.float64)
    mask = torch.tensor([[True, False, True, True, False], [False, False, False, True, False]])
    with torch.no_grad():
        expected = weights_written_out(kind, attention, queries, states, mask, 0)
        found = attention(queries, attention.build_memory(states, mask))
    torch.testing.assert_close(as_heads(found.weights), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_contexts_have_the_gradient_of_their_formula(kind: str, window: str) -> None:
    attention = build(kind, window, size=3)
    Q, M = SIZES.get(kind, (6, 9))
    queries = torch.randn(2, 2, Q, dtype=torch.float64, requires_grad=True)
    states = torch.randn(2, 4, M, dtype=torch.float64, requires_grad=True)
    mask = prefix_mask([4, 2])

    def context(queries: Tensor, states: Tensor, *_: Tensor) -> Tensor:
        return attention(
            queries, attention.build_memory(states, mask), 1 + torch.arange(queries.size(1))
        ).context

    inputs = (queries, states, *attention.parameters())
    assert torch.autograd.gradcheck(context, inputs, fast_mode=True)


def test_dot_attention_of_equal_sizes_has_no_parameters() -> None:
    assert not list(DotAttention(6, 6).parameters())


def test_the_cosine_ignores_the_lengths_of_vectors_and_stands_zeros() -> None:
    attention = build("cosine")
    attention.key_strength.weight.data.zero_()
    queries = torch.randn(1, 2, 6, dtype=torch.float64)
    states = torch.randn(1, 4, 9, dtype=torch.float64)
    mask = prefix_mask([4])
    with torch.no_grad():
        weights = attention(queries, attention.build_memory(states, mask)).weights
        scaled = attention(1e3 * queries, attention.build_memory(1e3 * states, mask)).weights
    torch.testing.assert_close(scaled, weights)
    zeros = torch.zeros(1, 4, 9, dtype=torch.float64, requires_grad=True)
    found = attention(0 * queries, attention.build_memory(zeros, mask))
    torch.testing.assert_close(found.weights, torch.full_like(weights, 0.25))
    found.context.sum().backward()
    assert zeros.grad is not None
    assert zeros.grad.isfinite().all()


# --------------------------------------------------------------------- windows


def looks(window: str, length: int, padded: int, positions: int) -> Tensor:
    """Weights [T, S] of a window of D = 2 over equal scores."""
    attention = build("dot", window, size=2)
    mask = prefix_mask([length, padded])
    queries = torch.zeros(2, positions, 6, dtype=torch.float64)
    states = torch.zeros(2, padded, 6, dtype=torch.float64)
    with torch.no_grad():
        return attention(queries, attention.build_memory(states, mask)).weights[0]


def test_local_m_follows_the_target_and_stays_in_the_sentence() -> None:
    weights = looks("local_m", length=6, padded=9, positions=10)
    # The center is t, but at most the last position, 5; 2 to each side, none beyond an edge.
    reach = [(0, 2), (0, 3), (0, 4), (1, 5), (2, 5), (3, 5), (3, 5), (3, 5), (3, 5), (3, 5)]
    for row, (first, last) in zip(weights, reach, strict=True):
        expected = torch.zeros(9, dtype=torch.float64)
        expected[first : last + 1] = 1 / (last - first + 1)
        torch.testing.assert_close(row, expected)


def test_local_p_fades_with_a_deviation_of_half_its_size() -> None:
    # Queries of zero predict the middle of the sentence, S / 2 = 3, for any weights.
    weights = looks("local_p", length=6, padded=9, positions=1)[0]
    inside = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0], dtype=torch.float64)
    expected = torch.exp(-(inside**2) / (2 * 1.0**2)) / 5  # sigma = D / 2 = 1
    torch.testing.assert_close(weights[1:6], expected)
    assert (weights[[0, 6, 7, 8]] == 0).all()


@pytest.mark.parametrize("window", ["local_m", "local_p"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_window_over_the_full_sentence_has_no_effect(kind: str, window: str) -> None:
    everywhere, wide = build(kind), build(kind, window, size=1_000_000)
    wide.load_state_dict(everywhere.state_dict(), strict=False)
    Q, M = SIZES.get(kind, (6, 9))
    queries = torch.randn(2, 3, Q, dtype=torch.float64)
    states, mask = torch.randn(2, 5, M, dtype=torch.float64), prefix_mask([5, 3])
    with torch.no_grad():
        expected = everywhere(queries, everywhere.build_memory(states, mask))
        found = wide(queries, wide.build_memory(states, mask))
    torch.testing.assert_close(found.weights, expected.weights)  # the Gaussian is flat there
    torch.testing.assert_close(found.context, expected.context)


def test_the_centre_of_local_p_learns_from_the_gaussian() -> None:
    attention = build("dot", "local_p")
    window = attention.window
    assert isinstance(window, PredictiveWindow)
    queries = torch.randn(2, 3, 6, dtype=torch.float64)
    states, mask = torch.randn(2, 5, 6, dtype=torch.float64), prefix_mask([5, 3])
    attention(queries, attention.build_memory(states, mask)).context.square().sum().backward()
    assert window.centre_vector.weight.grad is not None
    assert (window.centre_vector.weight.grad != 0).any()


def test_distant_positions_differ_in_bfloat16() -> None:
    # Between 256 and 512 adjacent bfloat16 are 2 apart: centers must not be rounded to them.
    window = PredictiveWindow(4, 6)
    queries, lengths = torch.randn(1, 50, 6), torch.tensor([601])
    exact = window.centres(queries, lengths, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        centres = window.centres(queries, lengths, 0)
    torch.testing.assert_close(centres, exact, rtol=0, atol=1e-3)


# --------------------------------------------------------------- for every attention


def test_a_fully_masked_row_has_zero_weights() -> None:
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


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_memory_in_bfloat16_can_be_attended_to(kind: str, window: str) -> None:
    attention = build(kind, window, size=20).float()
    Q, M = SIZES.get(kind, (6, 9))
    queries, states, mask = torch.randn(3, 2, Q), torch.randn(3, 5, M), prefix_mask([5, 2, 4])
    exact = attention(queries, attention.build_memory(states, mask))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        memory: AttentionMemory = attention.build_memory(states.bfloat16(), mask)
        assert memory.values.dtype == torch.bfloat16
        rough = attention(queries, memory)  # the query is still in float32, as a first state is
    assert (as_heads(rough.weights).masked_select(~mask[:, None, None]) == 0).all()
    # Scores of a few units have an error of a few times 2^-8, and so have contexts.
    torch.testing.assert_close(rough.weights, exact.weights, rtol=0, atol=0.05)
    torch.testing.assert_close(rough.context.float(), exact.context, rtol=0, atol=0.1)
