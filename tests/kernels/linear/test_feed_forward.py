"""The feed-forward block as one operation, compared with its layers in sequence.

Legend: B batch, T length, D model size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig, TransformerEncoderConfig
from nmt.kernels.linear.feed_forward import feed_forward, plain_feed_forward
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.layers import Linear
from nmt.model.transformer.position_wise import FeedForward

B, T, H, K = 3, 5, 2, 6
D = H * K
FLOAT, BFLOAT = torch.float32, torch.bfloat16

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], torch.dtype], None]
Both = Callable[[Tensor, Sequence[Tensor]], list[Tensor]]
Autocast = Callable[[torch.dtype], torch.autocast]


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT])
@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(B, T), (T,), (), (0, T)])
def test_feed_forward_equals_its_layers_in_sequence(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    probability: float,
    training: bool,
    tiny_config: Callable[..., ModelConfig],
    agree: Agree,
    values_and_gradients: Both,
    autocast: Autocast,
) -> None:
    encoder = tiny_config("transformer").encoder
    assert isinstance(encoder, TransformerEncoderConfig)
    config = replace(encoder, hidden_size=D, feed_forward_dropout=probability)
    layer = FeedForward(config).train(training)
    states = torch.randn(*shape, D, requires_grad=True)
    leaves = [states, *layer.parameters()]
    with autocast(dtype):
        torch.manual_seed(3)
        found = values_and_gradients(layer(states), leaves)
        torch.manual_seed(3)
        expected = values_and_gradients(nn.Sequential.forward(layer, states), leaves)
    agree(found, expected, dtype)


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT])
@pytest.mark.parametrize("place", ["states", "weight", "bias"])
def test_feed_forward_reveals_values_that_are_not_finite(
    dtype: torch.dtype, place: str, tiny_config: Callable[..., ModelConfig], autocast: Autocast
) -> None:
    encoder = tiny_config("transformer").encoder
    assert isinstance(encoder, TransformerEncoderConfig)
    layer = FeedForward(replace(encoder, hidden_size=D, feed_forward_dropout=0.0))
    states, widen = torch.randn(3, D), layer[0]
    assert isinstance(widen, Linear)
    with torch.no_grad():
        {"states": states, "weight": widen.weight, "bias": widen.bias}[place].view(-1)[0] = math.nan
    with autocast(dtype):
        assert not layer(states).isfinite().all()


def test_compiled_layers_have_the_same_gradients(
    tiny_config: Callable[..., ModelConfig], agree: Agree, values_and_gradients: Both
) -> None:
    encoder = tiny_config("transformer").encoder
    assert isinstance(encoder, TransformerEncoderConfig)
    layer = FeedForward(replace(encoder, hidden_size=D, feed_forward_dropout=0.0))
    attention = MultiHeadAttention(D, D, H, 0.0)
    states = torch.randn(B, T, D, requires_grad=True)
    leaves = [states, *layer.parameters(), *attention.parameters()]

    def learned(states: Tensor) -> Tensor:
        attended = attention(
            states, attention.build_memory(states, None), need_weights=False
        ).context
        result: Tensor = layer(attended)
        return result

    expected = values_and_gradients(learned(states), leaves)
    found = values_and_gradients(
        torch.compile(learned, backend="aot_eager", fullgraph=True)(states), leaves
    )
    agree(found, expected, FLOAT)


@pytest.mark.parametrize("dtype", [FLOAT, BFLOAT, torch.float64])
@pytest.mark.parametrize("probability", [0.0, 0.3])
def test_feed_forward_is_its_plain_formulation(
    dtype: torch.dtype,
    probability: float,
    agree: Agree,
    values_and_gradients: Both,
    autocast: Autocast,
) -> None:
    single = torch.float64 if dtype == torch.float64 else FLOAT
    sizes = (B, T, D), (13, D), (13,), (D, 13), (D,)
    leaves = [torch.randn(size, dtype=single, requires_grad=True) for size in sizes]
    with autocast(dtype):
        torch.manual_seed(3)
        found = values_and_gradients(feed_forward(*leaves, dropout_p=probability), leaves)
        torch.manual_seed(3)
        expected = plain_feed_forward(*leaves, dropout_p=probability)
        agree(found, values_and_gradients(expected, leaves), dtype)
