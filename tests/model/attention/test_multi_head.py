"""Multi-head attention compared with its formula, with torch, and with its fused form.

Legend: B batch, T queries, S states, H heads, G heads of keys and values, K head size.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.model.attention.alibi import Alibi
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import RelativePositions, RelativeScheme
from nmt.model.attention.rotary import Rotary
from nmt.model.attention.shaw import SHAW_DISTANCE, ShawAttention, ShawDistances
from nmt.model.attention.t5_bias import T5Bias

HEADS = [(4, 4), (4, 2), (4, 1), (1, 1)]
SCHEMES = ["none", "relative", "t5_bias", "rotary", "alibi"]
K = 6


def scheme(name: str, num_heads: int, *, causal: bool = False) -> RelativeScheme | None:
    match name:
        case "relative":
            return ShawDistances()
        case "t5_bias":
            bias = T5Bias(num_heads, causal=causal)
            nn.init.normal_(bias.bias_table)
            return bias
        case "rotary":
            return Rotary(K)
        case "alibi":
            return Alibi(num_heads)
    return None


def build(
    num_heads: int, num_kv_heads: int, memory_size: int, positions: str = "none", **settings: Any
) -> MultiHeadAttention:
    """An attention in float64 whose vectors and gains are all random."""
    kind = ShawAttention if positions == "relative" else MultiHeadAttention
    attention = kind(
        num_heads * K,
        memory_size,
        num_heads,
        dropout=0.0,
        num_kv_heads=num_kv_heads,
        **settings,
    )
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.5)
    return attention.double().eval()


def random_mask(batch: int, length: int) -> Tensor:
    """A mask that is true on at least one state per row, not only on a prefix."""
    mask = torch.rand(batch, length) < 0.6
    mask[torch.arange(batch), torch.randint(length, (batch,))] = True
    return mask


def turned(vector: Tensor, position: int) -> Tensor:
    """RoPE of one vector: units i and i + K / 2 are rotated as a pair (Su et al. 2021, eq. 15)."""
    result = vector.clone()
    for i in range(K // 2):
        angle = position * 10_000 ** (-2 * i / K)
        x, y = vector[i], vector[i + K // 2]
        result[i] = x * math.cos(angle) - y * math.sin(angle)
        result[i + K // 2] = x * math.sin(angle) + y * math.cos(angle)
    return result


def normalised(vector: Tensor, norm: nn.Module) -> Tensor:
    if isinstance(norm, nn.Identity):
        return vector
    return vector / torch.sqrt((vector**2).mean() + 1e-6) * norm.weight


def t5_bucket(distance: int, *, causal: bool) -> int:
    """Raffel et al. 2020: exact below half of the buckets, then logarithmic up to 128."""
    buckets, offset = 32, 0
    if not causal:
        buckets = 16
        offset = 16 if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return offset + distance
    wide = exact + int(math.log(distance / exact) / math.log(128 / exact) * (buckets - exact))
    return offset + min(wide, buckets - 1)


def written_out(
    attention: MultiHeadAttention,
    positions: str,
    position_bias: RelativeScheme | None,
    queries: Tensor,
    states: Tensor,
    mask: Tensor,
) -> tuple[Tensor, Tensor]:
    """Contexts and weights, pair by pair; query t is at position t, state s at position s."""
    H, G = attention.num_heads, attention.num_kv_heads
    B, T, S = len(queries), queries.size(1), states.size(1)
    keys, values = attention.key_value_projection(states).chunk(2, dim=-1)
    all_queries = attention.query_projection(queries)
    weights = queries.new_zeros(B, H, T, S)
    context = queries.new_zeros(B, T, H * K)
    for b, h, t in torch.cartesian_prod(*map(torch.arange, (B, H, T))).tolist():
        mine, group = slice(h * K, h * K + K), h * G // H
        theirs = slice(group * K, group * K + K)
        query = normalised(all_queries[b, t, mine], attention.query_norm)
        scores, averaged = {}, {}
        for s in range(S):
            key, value = normalised(keys[b, s, theirs], attention.key_norm), values[b, s, theirs]
            bias = 0.0
            if positions == "relative":
                assert isinstance(attention, ShawAttention)
                place = max(-SHAW_DISTANCE, min(SHAW_DISTANCE, s - t)) + SHAW_DISTANCE
                key = key + attention.relative.key_vectors[place]
                value = value + attention.relative.value_vectors[place]
            if isinstance(position_bias, T5Bias):
                bias = float(
                    position_bias.bias_table[t5_bucket(s - t, causal=position_bias.causal), h]
                )
            if positions == "alibi":
                bias = -(2 ** (-8 * (h + 1) / H)) * abs(s - t)
            one, other = query, key
            if positions == "rotary":
                one, other = turned(query, t), turned(key, s)
            if mask[b, s]:
                scores[s] = math.exp(one @ other / math.sqrt(K) + bias)
                averaged[s] = value
        for s, power in scores.items():
            weights[b, h, t, s] = power / sum(scores.values())
            context[b, t, mine] += weights[b, h, t, s] * averaged[s]
    return attention.output_projection(context), weights


def relative_positions(position_bias: RelativeScheme | None, length: int) -> RelativePositions:
    return (
        RelativePositions()
        if position_bias is None
        else position_bias(torch.arange(length), torch.arange(length))
    )


@pytest.mark.parametrize("qk_norm", [False, True], ids=["plain", "qk_norm"])
@pytest.mark.parametrize("positions", SCHEMES)
@pytest.mark.parametrize(("num_heads", "num_kv_heads"), HEADS)
def test_multi_head_attention_equals_its_formula(
    num_heads: int, num_kv_heads: int, positions: str, *, qk_norm: bool
) -> None:
    size = num_heads * K
    attention = build(num_heads, num_kv_heads, size, positions, qk_norm=qk_norm)
    position_bias = scheme(positions, num_heads)
    position_bias = None if position_bias is None else position_bias.double()
    # Shaw clips distances at 16, and T5 shares buckets from 8 on.
    length = 20 if positions in ("relative", "t5_bias") else 7
    states = torch.randn(2, length, size, dtype=torch.float64)
    mask = random_mask(2, length)
    with torch.no_grad():
        context, weights = written_out(attention, positions, position_bias, states, states, mask)
        placed = relative_positions(position_bias, length)
        memory = attention.build_memory(states, mask[:, None, None], placed)
        explicit = attention(states, memory, need_weights=True, positions=placed)
        fused = attention(states, memory, need_weights=False, positions=placed)
    assert explicit.weights is not None
    # Angles and slopes are float32 until the module is cast; their rounding error is 1e-7.
    torch.testing.assert_close(explicit.weights, weights, rtol=0, atol=1e-6)
    torch.testing.assert_close(explicit.context, context, rtol=0, atol=1e-6 * 20)
    torch.testing.assert_close(fused.context, explicit.context, rtol=0, atol=1e-9)


@pytest.mark.parametrize("positions", SCHEMES)
@pytest.mark.parametrize("num_kv_heads", [2, 1])
def test_multi_head_attention_has_the_gradient_of_its_formula(
    num_kv_heads: int, positions: str
) -> None:
    attention = build(2, num_kv_heads, 2 * K, positions, qk_norm=True)
    position_bias = scheme(positions, 2, causal=True)
    position_bias = None if position_bias is None else position_bias.double()
    states = torch.randn(1, 3, 2 * K, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(3, 3, dtype=torch.bool).tril()
    learned = [] if position_bias is None else list(position_bias.parameters())

    def context(states: Tensor, *_: Tensor) -> Tensor:
        placed = relative_positions(position_bias, 3)
        memory = attention.build_memory(states, mask, placed)
        return attention(states, memory, need_weights=False, positions=placed).context

    inputs = (states, *attention.parameters(), *learned)
    assert torch.autograd.gradcheck(context, inputs, fast_mode=True)


@pytest.mark.parametrize("memory_size", [12, 7])
def test_multi_head_attention_equals_that_of_torch(memory_size: int) -> None:
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
        memory = attention.build_memory(states, mask[:, None, None])
        found = attention(queries, memory, need_weights=True)
    torch.testing.assert_close(found.context, expected)
    torch.testing.assert_close(found.weights, expected_weights)


@pytest.mark.parametrize(("num_heads", "num_kv_heads"), [(4, 2), (4, 1)])
def test_fewer_heads_of_keys_make_a_smaller_memory(num_heads: int, num_kv_heads: int) -> None:
    memory = build(num_heads, num_kv_heads, 9).build_memory(
        torch.randn(2, 5, 9, dtype=torch.float64), None
    )
    assert memory.keys.shape == memory.values.shape == (2, num_kv_heads, 5, K)


# --------------------------------------------------------------------- positions


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", SCHEMES[1:])
def test_a_single_step_has_the_position_bias_of_the_last_row(name: str, *, causal: bool) -> None:
    position_bias = scheme(name, 2, causal=causal)
    assert position_bias is not None
    positions = torch.arange(9)
    whole, step = position_bias(positions, positions), position_bias(positions[8:], positions)
    for all_rows, last in ((whole.bias, step.bias), (whole.distances, step.distances)):
        assert (all_rows is None) == (last is None)
        if all_rows is not None and last is not None:
            assert torch.equal(all_rows[..., 8:, :], last)
    if whole.rotation is not None and step.rotation is not None:
        for all_rows, last in zip(whole.rotation, step.rotation, strict=True):
            torch.testing.assert_close(all_rows[8:], last)


def test_alibi_slopes_of_eight_heads_are_the_papers() -> None:
    # Press et al. 2022, section 3: for 8 heads, 1/2, 1/4, ..., 1/256.
    bias = Alibi(8)(torch.arange(3), torch.arange(3)).bias
    assert bias is not None
    torch.testing.assert_close(bias[:, 2, 1], -(0.5 ** torch.arange(1.0, 9.0)))
    torch.testing.assert_close(bias[:, 2, 0], 2 * bias[:, 2, 1])


def test_t5_buckets_worked_by_hand() -> None:
    # Bidirectional: 16 buckets per direction, 8 of them exact; bucket 8 + 8 ln(d / 8) / ln(16).
    far = {7: 7, 8: 8, 11: 8, 16: 10, 23: 11, 32: 12, 64: 14, 91: 15, 128: 15, 299: 15}
    # Causal: 32 buckets, 16 exact; bucket 16 + 16 ln(d / 16) / ln(8).
    back = {15: 15, 16: 16, 20: 17, 32: 21, 64: 26, 127: 31, 128: 31, 299: 31}
    for causal, expected in ((False, far), (True, back)):
        position_bias = T5Bias(1, causal=causal)
        with torch.no_grad():
            position_bias.bias_table.copy_(torch.arange(32.0)[:, None])
            bias = position_bias(torch.arange(300), torch.arange(300)).bias
        assert bias is not None
        for distance, bucket in expected.items():
            assert bias[0, 299, 299 - distance] == bucket
            ahead = bias[0, 0, distance]
            assert ahead == (0 if causal else 16 + bucket)


@pytest.mark.parametrize("causal", [False, True])
def test_t5_buckets_are_exact_near_and_logarithmic_far(*, causal: bool) -> None:
    position_bias = T5Bias(1, causal=causal)
    with torch.no_grad():
        position_bias.bias_table.copy_(
            torch.arange(32.0)[:, None]
        )  # each bias is the index of its bucket
        bias = position_bias(torch.arange(300), torch.arange(300)).bias
    assert bias is not None
    for query in (0, 5, 150, 299):
        expected = [t5_bucket(key - query, causal=causal) for key in range(300)]
        assert bias[0, query].int().tolist() == expected


def test_rotary_products_depend_on_the_distance_alone() -> None:
    attention = build(1, 1, K)
    rotary = Rotary(K).double()
    # the same piece at every position
    state = torch.randn(1, 1, K, dtype=torch.float64).expand(1, 40, K)
    with torch.no_grad():
        placed = rotary(torch.arange(40), torch.arange(40))
        memory = attention.build_memory(state, None, placed)
        queries = attention.queries(attention.query_projection(state), placed)
        scores = attention.scores(queries, memory.keys)[0, 0]
    for distance in (-7, 0, 3):
        along = scores.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-6)
