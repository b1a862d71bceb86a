"""Kinds of self-attention at their limits: no sentence, great numbers, few bits, large settings.

Legend: B batch, T length, H heads, K head size, A sentences, N beams.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from nmt.config.model import ModelConfig, TransformerDecoderConfig, TransformerEncoderConfig
from nmt.config.self_attention import LIMITS, SelfAttention
from nmt.data.batches.batch import Batch
from nmt.kernels import dispatch
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.relative import NO_POSITIONS, RelativePositions
from nmt.model.losses.loss import sequence_loss
from nmt.model.self_attention.adaptive_span import AdaptiveSpan
from nmt.model.self_attention.constant_memory import WindowMemory
from nmt.model.self_attention.kinds import KINDS
from nmt.model.self_attention.linear_attention import LinearAttention
from nmt.model.self_attention.low_rank_attention import LowRankAttention
from nmt.model.self_attention.lsh_attention import LshAttention
from nmt.model.self_attention.pattern import BlockedAttention
from nmt.model.seq2seq import TranslationModel

H, K = 4, 6
SMALL: dict[str, dict[str, Any]] = {
    "cosine": {},
    "local": dict(attention_window=2),
    "strided": dict(attention_stride=3),
    "fixed": dict(attention_stride=3),
    "random_global": dict(attention_block=2, attention_random_blocks=2),
    "linear": {},
    "favor": dict(attention_features=7),
    "low_rank": dict(attention_rank=3),
    "lsh": dict(attention_block=2, attention_buckets=4),
    "adaptive_span": dict(attention_span=3, attention_span_ramp=2),
}
CASES = [
    (kind, causal)
    for kind in SMALL
    for causal in (False, True)
    if not causal or LIMITS[SelfAttention(kind)].decoder
]


def build(kind: str, *, causal: bool = False, heads: int = H, **changes: Any) -> Any:
    """An attention whose parameters are all random, in small blocks."""
    config_class = TransformerDecoderConfig if causal else TransformerEncoderConfig
    config = config_class(
        hidden_size=heads * K, num_heads=heads, self_attention=kind, **(SMALL[kind] | changes)
    )
    attention = KINDS[SelfAttention(kind)].of(config)
    for name, parameter in attention.named_parameters():
        nn.init.normal_(parameter, std=0.5 if "span" not in name else 0.3)
    if isinstance(attention, BlockedAttention):
        attention.smallest_block = 2
    return attention.eval()


def mask_of(rows: int, length: int, *, causal: bool) -> AttentionMask:
    if causal:
        return AttentionMask.causal(length, torch.device("cpu"))
    return AttentionMask(torch.ones(rows, 1, 1, length, dtype=torch.bool))


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(("kind", "causal"), CASES)
def test_a_batch_without_sentences_has_no_contexts(
    kind: str, causal: bool, need_weights: bool
) -> None:
    attention = build(kind, causal=causal)
    states = torch.zeros(0, 40, H * K)
    memory = attention.build_memory(states, mask_of(0, 40, causal=causal))
    found = attention(states, memory, need_weights=need_weights)
    assert found.context.shape == states.shape
    assert found.weights is None or found.weights.shape == (0, H, 40, 40)


@pytest.mark.parametrize(
    ("scale", "dtype"),
    [
        *(
            (scale, dtype)
            for scale in (0.0, 1e-30, 1e4)
            for dtype in (torch.float32, torch.bfloat16)
        ),
        *((scale, torch.float16) for scale in (0.0, 1.0)),  # its greatest number is 65,504
    ],
)
@pytest.mark.parametrize(("kind", "causal"), CASES)
def test_contexts_and_gradients_of_great_and_small_states_are_finite(
    kind: str, causal: bool, dtype: torch.dtype, scale: float
) -> None:
    attention = build(kind, causal=causal).to(dtype)
    for name, parameter in attention.named_parameters():
        if scale == 0 and name.endswith("bias"):
            nn.init.zeros_(parameter)  # so that queries and keys are 0
    states = (scale * torch.randn(2, 40, H * K)).to(dtype).requires_grad_()
    for need_weights in (False, True):
        memory = attention.build_memory(states, mask_of(2, 40, causal=causal))
        found = attention(states, memory, need_weights=need_weights).context
        (gradient,) = torch.autograd.grad(found.sum(), states)
        assert found.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_features_of_negative_numbers_keep_their_digits(dtype: torch.dtype) -> None:
    """elu(x) + 1 = exp(x) for x < 0, which 1 - (1 - exp(x)) would round to a multiple of 2^-24."""
    attention = build("linear")
    assert isinstance(attention, LinearAttention)
    heads = torch.linspace(-30, 5, 4 * K).view(1, 1, 4, K).to(dtype)
    exact = heads.double()
    expected = torch.where(exact > 0, exact + 1, exact.exp())
    for of_keys in (False, True):
        found = attention.features(heads, of_keys=of_keys).double()
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_keys_in_the_direction_of_random_features_of_large_heads_are_finite(
    causal: bool, need_weights: bool
) -> None:
    """ω · x - |x|² / 2 is |ω|² / 2 for x = ω: more than 88 for a head of 256 units."""
    config_class = TransformerDecoderConfig if causal else TransformerEncoderConfig
    config = config_class(hidden_size=256, num_heads=1, self_attention="favor")
    attention: Any = KINDS[SelfAttention.FAVOR].of(config)
    mask = mask_of(1, 80, causal=causal)
    states = torch.randn(1, 80, 256, requires_grad=True)
    memory = attention.build_memory(states, mask)
    aligned = attention.directions[:80][None, None] * 256**0.25
    keys = attention.features(aligned + 0 * states[:, None], of_keys=True)
    given = AttentionMemory(keys, memory.values, mask)
    found = attention(states, given, need_weights=need_weights).context
    assert found.isfinite().all()
    (gradient,) = torch.autograd.grad(found.sum(), states)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("share", [math.nan, math.inf])
def test_a_span_that_is_not_finite_gives_a_loss_that_is_not_finite(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    share: float,
) -> None:
    """Training then skips the update, or returns to a checkpoint, as with any other weight."""
    model = tiny_model(tiny_config("transformer", "rnn", self_attention="adaptive_span"))
    for module in model.modules():
        if isinstance(module, AdaptiveSpan):
            nn.init.constant_(module.span_shares, share)
    assert not sequence_loss(model, ragged_batch, 0.1).smoothed.isfinite()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_first_piece_of_a_search_attends_to_itself(dtype: torch.dtype) -> None:
    """A query and its key have one bucket, though the key is rounded after its normalisation."""
    attention = build("lsh", causal=True, attention_buckets=64, attention_hashes=1).to(dtype)
    assert isinstance(attention, LshAttention)
    states = torch.randn(2000, 1, H * K).to(dtype)
    memory = attention.build_memory(states, None)
    at = RelativePositions(in_step=(torch.tensor([0]), torch.tensor([0])))
    found = attention(states, memory, need_weights=True, positions=at).weights
    assert (found == 1).all()


def test_dropout_of_low_rank_drops_the_weights_of_mixtures_with_all_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one mixture, a head has all of it, doubled, or nothing."""
    attention = build("low_rank", heads=1, attention_rank=1, attention_dropout=0.5)
    assert isinstance(attention, LowRankAttention)
    states = torch.randn(1, 40, K)
    memory: AttentionMemory = attention.build_memory(states, mask_of(1, 40, causal=False))
    with torch.no_grad():
        mixture = attention.value_length_projection[:, :40] @ memory.values[0, 0]
        whole = attention.output_projection(2 * mixture)[0]
        nothing = attention.output_projection(torch.zeros(K))
        attention.train()
        for kernels in dispatch.Kernels:
            monkeypatch.setattr(dispatch._Selection, "kernels", kernels)
            found = attention(states, memory, need_weights=False).context[0]
            kept = ((found - whole).abs() < 1e-5).all(-1)
            dropped = ((found - nothing).abs() < 1e-5).all(-1)
            assert (kept ^ dropped).all()
            assert 5 <= kept.sum() <= 35  # 20 are expected; beyond lie 1 in 10^6


def test_a_window_takes_no_more_memory_in_search_than_the_pieces(
    tiny_config: Callable[..., ModelConfig], tiny_model: Callable[..., TranslationModel]
) -> None:
    model = tiny_model(
        tiny_config("rnn", "transformer", self_attention="local", attention_window=1 << 20)
    )
    source = torch.randint(4, 20, (2, 5))
    with torch.no_grad():
        state: Any = model.start(model.encode(source, source > 0))
        for pieces in range(1, 40):
            _, _, state = model.step(torch.tensor([5, 6]), state)
            memory = state.target
            assert isinstance(memory, WindowMemory)
            assert pieces <= memory.buffers[0].size(2) < max(2 * pieces, 17)
        reserved = state.reserve(70).target
        assert reserved.buffers[0].size(2) == 70


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("need_weights", [False, True])
def test_a_piece_that_is_alone_in_its_bucket_attends_to_itself_in_all_precisions(
    dtype: torch.dtype, need_weights: bool
) -> None:
    """The score of a piece for itself, less 10^5, is beyond the range of float16."""
    attention = build("lsh", attention_buckets=64, attention_hashes=1).to(dtype)
    states = torch.randn(50, 2, H * K).to(dtype)
    memory = attention.build_memory(states, mask_of(50, 2, causal=False))
    queries = attention.queries(attention.query_projection(states))
    weights = attention.weights(queries, memory, NO_POSITIONS)
    alone = weights.diagonal(dim1=-2, dim2=-1)  # [50, H, 2]: 1, or 0 if both share a bucket
    assert ((alone == 1) | (alone == 0)).all()
    assert alone.sum() > alone.numel() / 2
    found = attention(states, memory, need_weights=need_weights).context
    assert found.isfinite().all()
