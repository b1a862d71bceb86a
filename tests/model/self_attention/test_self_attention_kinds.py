"""Kinds of self-attention: each equals its formula, and its fast form equals the explicit one.

Legend: B batch, T length, H heads, K head size, A sentences, N beams.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig, TransformerDecoderConfig, TransformerEncoderConfig
from nmt.config.self_attention import LIMITS, READ_BY, SelfAttention, SelfAttentionConfig
from nmt.data.batches.batch import Batch
from nmt.evaluation.attention.learned_spans import learned_spans
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.interfaces import DecoderState
from nmt.model.losses.loss import sequence_loss
from nmt.model.self_attention.adaptive_span import AdaptiveSpan
from nmt.model.self_attention.constant_memory import SumMemory, WindowMemory
from nmt.model.self_attention.kinds import KINDS
from nmt.model.self_attention.low_rank_attention import LowRankAttention
from nmt.model.self_attention.lsh_attention import LshAttention
from nmt.model.self_attention.pattern import BlockedAttention
from nmt.model.self_attention.random_global_attention import RandomGlobalAttention
from nmt.model.seq2seq import TranslationModel

B, H, K = 2, 4, 6
SETTINGS: dict[str, dict[str, Any]] = {
    "cosine": {},
    "local": dict(attention_window=3),
    "strided": dict(attention_stride=3),
    "fixed": dict(attention_stride=5, attention_summaries=2),
    "random_global": dict(attention_block=2, attention_random_blocks=2, attention_global_blocks=1),
    "linear": {},
    "favor": dict(attention_features=20),
    "low_rank": dict(attention_rank=3),
    "lsh": dict(attention_block=2, attention_buckets=4, attention_hashes=3),
    "adaptive_span": dict(attention_span=4, attention_span_ramp=2),
}
CASES = [
    (kind, causal)
    for kind in SETTINGS
    for causal in (False, True)
    if not causal or LIMITS[SelfAttention(kind)].decoder
]


def test_every_kind_is_tried() -> None:
    assert SETTINGS.keys() == {kind.value for kind in SelfAttention} - {"full"}
    assert SETTINGS.keys() == {kind.value for kind in KINDS}


def test_the_settings_that_each_kind_reads_are_known() -> None:
    """Otherwise a setting without effect gives no warning, or one with effect gives one."""

    declared = {field.name for field in dataclasses.fields(SelfAttentionConfig)}
    assert READ_BY.keys() == declared - {"self_attention"}

    class Recorded(TransformerEncoderConfig):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    for kind, attention in KINDS.items():
        read: set[str] = set()
        attention.of(Recorded(hidden_size=H * K, num_heads=H, self_attention=kind))
        assert read & READ_BY.keys() == {name for name, kinds in READ_BY.items() if kind in kinds}


def build(kind: str, *, causal: bool = False, **changes: Any) -> MultiHeadAttention:
    """An attention in float64 whose parameters are all random, in small blocks."""
    config_class = TransformerDecoderConfig if causal else TransformerEncoderConfig
    config = config_class(
        hidden_size=H * K, num_heads=H, self_attention=kind, **(SETTINGS[kind] | changes)
    )
    attention = KINDS[SelfAttention(kind)].of(config)
    for name, parameter in attention.named_parameters():
        nn.init.normal_(parameter, std=0.5 if "span" not in name else 0.3)
    if isinstance(attention, BlockedAttention):
        attention.smallest_block = 2
    return attention.double().eval()


def mask_of(length: int, *, causal: bool) -> tuple[AttentionMask, list[int]]:
    """The mask of B sentences, whose last one has 3 positions of padding in an encoder."""
    if causal:
        return AttentionMask.causal(length, torch.device("cpu")), [length] * B
    lengths = [length, length - 3]
    real = torch.arange(length) < torch.tensor(lengths)[:, None]
    return AttentionMask(real[:, None, None]), lengths


def random_block(mine: int, number: int, count: int) -> int:
    mixed = (mine * 2_654_435_761 + (number + 1) * 40_503_011) % 2**32
    return ((mixed * 1_597_334_677 >> 16) % 2**16) % max(count, 1)


def allows(kind: str, attention: Any, h: int, i: int, j: int, length: int, causal: bool) -> bool:
    """Whether head h's query i may attend to key j, by the sets of the papers."""
    match kind:
        case "local":
            return abs(i - j) <= 3
        case "strided":
            return abs(i - j) <= 3 or (i - j) % 3 == 0
        case "fixed":  # l = 5, c = 2: the subblocks end at l and at l - c, for heads in turn
            end = 5 - 2 * (h % 2)
            return i // 5 == j // 5 or end - 2 <= j % 5 < end
        case "random_global":
            mine, theirs = i // 2, j // 2
            count = mine if causal else -(-length // 2)
            drawn = {random_block(mine, number, count) for number in range(2)}
            first = theirs == 0 or (mine == 0 and not causal)
            return abs(mine - theirs) <= 1 or first or theirs in drawn
    return True


def score(kind: str, attention: Any, h: int, query: Tensor, key: Tensor, apart: int) -> Tensor:
    """The unnormalised weight exp(...) of a query [K] and a key [K] at a distance."""
    match kind:
        case "cosine":
            cosine = query @ key / query.norm() / key.norm()
            return (10 * attention.log_scale_change[h].exp() * cosine).exp()
        case "linear":
            one, other = (torch.where(x > 0, x + 1, x.exp()) for x in (query, key))
            return one @ other
        case "favor":
            ours, theirs = (attention.directions @ x / K**0.25 for x in (query, key))
            small = 1e-6  # which the authors' code adds
            theirs = (theirs - key @ key / K**0.5 / 2).exp() + small
            return ((ours - ours.max()).exp() + small) @ theirs
        case "lsh":
            return (query @ key / key.norm() / math.sqrt(K)).exp()
        case "adaptive_span":
            z = 4 * attention.span_shares[h].clamp(0, 1)
            return ((2 + z - apart) / 2).clamp(0, 1) * (query @ key / math.sqrt(K)).exp()
    return (query @ key / math.sqrt(K)).exp()


def lsh_allows(attention: LshAttention, keys: Tensor, length: int, causal: bool) -> set[Any]:
    """Pairs (i, j) that share a bucket, in the same chunk of 2 or the next one, in some hash."""
    found: set[Any] = set()
    for rotation in attention.rotations:
        buckets = torch.cat([keys @ rotation, -keys @ rotation], -1).argmax(-1).tolist()[:length]
        for i, j in ((i, j) for i in range(length) for j in range(length)):
            ranks = [sum(buckets[p] == buckets[q] for p in range(q)) // 2 for q in (i, j)]
            near = ranks[0] - ranks[1] in (0, 1)
            if buckets[i] == buckets[j] and near and (j <= i or not causal):
                found.add((i, j))
    return {(i, j) for i, j in found if i != j or sum(p == i for p, _ in found) == 1}


@pytest.mark.parametrize(("kind", "causal"), CASES)
def test_weights_equal_the_formula(kind: str, causal: bool) -> None:
    length = 11
    attention: Any = build(kind, causal=causal)
    states = torch.randn(B, length, H * K, dtype=torch.float64)
    mask, lengths = mask_of(length, causal=causal)
    with torch.no_grad():
        memory = attention.build_memory(states, mask)
        found = attention(states, memory, need_weights=True).weights
        queries = attention.query_projection(states).unflatten(-1, (H, K))
        if kind == "lsh":
            keys = queries
        else:
            keys = attention.key_value_projection(states).chunk(2, -1)[0].unflatten(-1, (H, K))
    for b, h in ((b, h) for b in range(B) for h in range(H)):
        real = lengths[b]
        expected = torch.zeros(length, length, dtype=torch.float64)
        if isinstance(attention, LowRankAttention):
            E, F = attention.key_length_projection, attention.value_length_projection
            projected = E[:, :real] @ keys[b, :real, h]
            inner = (queries[b, :, h] @ projected.T / math.sqrt(K)).softmax(-1)
            expected[:, :real] = (inner @ F[:, :real]).detach()
        else:
            pairs = lsh_allows(attention, keys[b, :, h], real, causal) if kind == "lsh" else None
            for i, j in ((i, j) for i in range(real) for j in range(real)):
                seen = allows(kind, attention, h, i, j, real, causal) and (j <= i or not causal)
                if seen and (pairs is None or (i, j) in pairs):
                    query, key = queries[b, i, h], keys[b, j, h]
                    expected[i, j] = score(kind, attention, h, query, key, abs(i - j)).detach()
            expected = expected / expected.sum(-1, keepdim=True).clamp_min(1e-300)
        torch.testing.assert_close(found[b, h, :real], expected[:real], rtol=0, atol=1e-6)


def both_forms(
    attention: MultiHeadAttention, states: Tensor, mask: AttentionMask
) -> tuple[Tensor, Tensor]:
    explicit, fast = (
        attention(states, attention.build_memory(states, mask), need_weights=weights).context
        for weights in (True, False)
    )
    return explicit, fast


@pytest.mark.parametrize("length", [1, 37, 130])
@pytest.mark.parametrize(("kind", "causal"), CASES)
def test_the_fast_form_equals_the_explicit_one(kind: str, causal: bool, length: int) -> None:
    attention = build(kind, causal=causal)
    mask, lengths = mask_of(max(length, 4), causal=causal)
    states = torch.randn(B, max(length, 4), H * K, dtype=torch.float64, requires_grad=True)
    real = torch.arange(states.size(1)) < torch.tensor(lengths)[:, None]
    upstream = torch.randn_like(states) * real[..., None]  # nobody reads padding
    weights = [states, *attention.parameters()]
    explicit, fast = both_forms(attention, states, mask)
    torch.testing.assert_close(fast[real], explicit[real], rtol=0, atol=1e-6)
    expected = torch.autograd.grad(explicit, weights, upstream, allow_unused=True)
    found = torch.autograd.grad(fast, weights, upstream, allow_unused=True)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    if isinstance(attention, BlockedAttention) and length >= 37:
        assert states.size(1) >= attention.shortest, "the blocked form was not tried"
    if kind == "lsh":
        return  # a bucket may change by rounding
    single = attention.float()
    explicit, fast = both_forms(single, states.detach().float(), mask)
    scale = explicit.abs().max().item()
    torch.testing.assert_close(fast[real], explicit[real], rtol=0, atol=1e-4 * max(scale, 1))


@pytest.mark.parametrize("kind", ["local", "linear", "favor", "lsh", "adaptive_span"])
def test_the_explicit_form_has_the_gradient_of_its_formula(kind: str) -> None:
    attention = build(kind, causal=True)
    states = torch.randn(1, 5, H * K, dtype=torch.float64, requires_grad=True)
    mask, _ = mask_of(5, causal=True)

    def context(states: Tensor) -> Tensor:
        memory = attention.build_memory(states, mask)
        return attention(states, memory, need_weights=True).context

    assert torch.autograd.gradcheck(context, (states,), fast_mode=True)


def test_random_features_estimate_the_softmax_better_the_more_there_are() -> None:
    states = 0.1 * torch.randn(B, 9, H * K, dtype=torch.float64)
    mask, _ = mask_of(9, causal=True)
    errors = []
    for count in (12, 12 * 256):
        torch.manual_seed(3)
        attention = build("favor", causal=True, attention_features=count)
        memory = attention.build_memory(states, mask)
        found = attention(states, memory, need_weights=True).weights
        full = MultiHeadAttention(H * K, H * K, H, 0.0).double()
        full.load_state_dict({k: v for k, v in attention.state_dict().items() if k != "directions"})
        memory = full.build_memory(states, mask)
        expected = full(states, memory, need_weights=True).weights
        errors.append((found - expected).abs().mean().item())
    # 256 times as many features divide the error by 16; less than half of that is chance.
    assert errors[1] < errors[0] / 4


def test_a_random_block_is_an_earlier_one_in_a_decoder() -> None:
    attention = build("random_global", causal=True)
    assert isinstance(attention, RandomGlobalAttention)
    mine = torch.arange(1, 4000)
    for number in range(3):
        drawn = attention._random(mine, number, None)
        assert (drawn < mine).all()
        # Uniform draws: the mean of draws / blocks is 1/2 with a standard error of 0.005.
        assert abs((drawn / mine).mean().item() - 0.5) < 0.05


def test_spans_stay_within_their_bounds_and_learn_beyond_them() -> None:
    attention = build("adaptive_span")
    assert isinstance(attention, AdaptiveSpan)
    with torch.no_grad():
        attention.span_shares.copy_(torch.tensor([-0.5, 0.25, 1.0, 1.5]))
    assert attention.spans().tolist() == [0.0, 1.0, 4.0, 4.0]
    (gradient,) = torch.autograd.grad(attention.spans().sum(), attention.span_shares)
    assert gradient.tolist() == [4.0] * 4


def test_the_loss_adds_the_weighted_mean_of_the_spans(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
) -> None:
    shape = dict(num_layers=2, self_attention="adaptive_span", attention_span=8)
    losses = {}
    for weight in (0.0, 0.25):
        config = tiny_config("transformer", "transformer", attention_span_loss=weight, **shape)
        model = tiny_model(config)
        losses[weight] = sequence_loss(model, ragged_batch, 0.1)
    spans = [span for name, span in learned_spans(model).items() if name.endswith("/span")]
    assert len(spans) == 2 * (2 + 4)  # layers, and heads of the encoder and of the decoder
    encoder, decoder = spans[:4], spans[4:]
    mean = (sum(encoder) / 4 + sum(decoder) / 8) / 2
    added = losses[0.25].smoothed - losses[0.0].smoothed
    # Each of the 4 layers has its own weight of 0.25, as in a loss that adds them all.
    expected = torch.tensor(4 * 0.25 * mean * ragged_batch.num_tokens)
    torch.testing.assert_close(added, expected, rtol=1e-4, atol=1e-4)
    assert math.isclose(
        losses[0.25].extra["span_loss"].item() / ragged_batch.num_tokens, mean, rel_tol=1e-5
    )


# --------------------------------------------------------------------- search


def decoder_of(
    kind: str, tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> TranslationModel:
    settings = {"attention_span": 8, "attention_span_ramp": 2} if kind == "adaptive_span" else {}
    kind, _, window = kind.partition("-")
    settings |= {"attention_window": int(window)} if window else {}
    settings = SETTINGS[kind] | settings
    config = tiny_config("rnn", "transformer", num_layers=2, self_attention=kind, **settings)
    return tiny_model(config)


@pytest.mark.parametrize("room", [None, 24])
@pytest.mark.parametrize("kind", ["local-17", *(kind for kind, causal in CASES if causal)])
def test_each_beam_continues_its_own_path(
    kind: str,
    room: int | None,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
) -> None:
    model = decoder_of(kind, tiny_config, tiny_model)
    source = torch.randint(4, 20, (2, 5))
    encoded = model.encode(source, source > 0)
    paths = torch.ones(2, 1, 1, dtype=torch.long)  # [A, N, pieces]
    sentences = torch.arange(2)
    with torch.no_grad():
        state = model.start(encoded)
        for number in range(21):
            rows = paths.flatten(0, 1)
            logits, _, state = model.step(rows[:, -1], state)
            beams = paths.size(1)
            sources = source[sentences].repeat_interleave(beams, 0)
            forced = model.logits(model(sources, sources > 0, rows).hidden[:, -1])
            torch.testing.assert_close(logits, forced, rtol=1e-4, atol=1e-4)
            parents = torch.randint(beams, (len(paths), 3 if number < 12 or room else 2))
            state = state.reorder(parents)
            paths = torch.stack([of[row] for of, row in zip(paths, parents, strict=True)])
            new = torch.randint(4, 20, (*paths.shape[:2], 1))
            paths = torch.cat([paths, new], dim=2)
            if number == 1 and room is not None:
                state = state.reserve(room)
            if number == 8:
                kept = torch.tensor([1, 0])
                state, paths, sentences = state.select(kept), paths[kept], sentences[kept]


def numbers_of(state: DecoderState) -> int:
    memory: Any = state.target  # type: ignore[attr-defined]
    assert isinstance(memory, WindowMemory | SumMemory)
    seen = memory.seen.numel() if isinstance(memory, WindowMemory) else 0
    return seen + sum(buffer.numel() for buffer in memory.buffers)


@pytest.mark.parametrize("kind", ["local", "linear", "favor"])
def test_the_memory_of_search_does_not_grow(
    kind: str, tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> None:
    model = decoder_of(kind, tiny_config, tiny_model)
    source = torch.randint(4, 20, (2, 5))
    sizes = set()
    with torch.no_grad():
        state = model.start(model.encode(source, source > 0))
        for _ in range(40):
            _, _, state = model.step(torch.tensor([5, 6]), state)
            sizes.add(numbers_of(state))
    assert len(sizes) == 1
