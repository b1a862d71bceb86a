"""What a CPU computes as one operation, against the plain layers it is made of.

Legend: B batch, T queries, S keys, H heads, K head size, D model size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.config.model import ModelConfig, TransformerEncoderConfig
from nmt.model.attention.explicit import attend_explicitly
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.dropout import Dropout
from nmt.model.feed_forward import FeedForward
from nmt.model.linear import Linear, filled, product
from nmt.model.loss import projected_cross_entropy

pytestmark = pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")

B, T, S, H, K = 3, 5, 4, 2, 6
D = H * K
FLOAT, BFLOAT, DOUBLE = torch.float32, torch.bfloat16, torch.float64


def agree(found: Sequence[Tensor], expected: Sequence[Tensor], kind: torch.dtype) -> None:
    """Compare to a few roundings of the type; a bfloat16 has 8 bits, and sums have 20 terms."""
    bound = {FLOAT: 1e-5, BFLOAT: 2**-5, DOUBLE: 1e-12}[kind]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        scale = max(1.0, other.abs().max().item() if other.numel() else 0.0)
        torch.testing.assert_close(one, other, rtol=bound, atol=bound * scale)


def values_and_gradients(result: Tensor, leaves: Sequence[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 1, result.numel()).view(result.shape)
    return [result.detach(), *torch.autograd.grad((result * weights).sum(), leaves)]


def autocast(kind: torch.dtype) -> torch.autocast:
    return torch.autocast("cpu", dtype=BFLOAT, enabled=kind == BFLOAT)


@pytest.mark.parametrize("kind", [FLOAT, BFLOAT, DOUBLE])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7), (0, 7)])
def test_linear_is_torchs(kind: torch.dtype, bias: bool, shape: tuple[int, ...]) -> None:
    ours, plain = Linear(7, 9, bias=bias), nn.Linear(7, 9, bias=bias)
    plain.load_state_dict(ours.state_dict())
    inputs = torch.randn(shape, requires_grad=True)
    if kind == DOUBLE:
        ours, plain = ours.double(), plain.double()
        inputs = inputs.detach().double().requires_grad_()
    with autocast(kind):
        found = values_and_gradients(ours(inputs), [inputs, *ours.parameters()])
        expected = values_and_gradients(plain(inputs), [inputs, *plain.parameters()])
    assert found[0].dtype == kind
    agree(found, expected, kind)


def test_frozen_weights_get_no_gradient_and_pass_it_on() -> None:
    layer = Linear(7, 9).requires_grad_(False)
    inputs = torch.randn(3, 7, requires_grad=True)
    layer(inputs).sum().backward()
    assert layer.weight.grad is None
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, layer.weight.sum(0).expand(3, 7))


def test_weights_alone_learn_from_inputs_that_do_not() -> None:
    layer, inputs = Linear(7, 9), torch.randn(3, 7)
    layer(inputs).sum().backward()
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, inputs.sum(0).expand(9, 7))


@pytest.mark.parametrize("kind", [FLOAT, BFLOAT])
def test_onednns_product_is_torchs_whatever_the_strides(kind: torch.dtype) -> None:
    rows, weight, bias = (torch.randn(size).to(kind) for size in ((6, 8), (8, 5), (5,)))
    expected = functional.linear(rows, weight.t(), bias)
    agree([product(rows, weight.t(), bias)], [expected], kind)
    agree([product(rows, weight.t(), bias, relu=True)], [expected.relu()], kind)
    with torch.backends.mkldnn.flags(enabled=False):  # type: ignore[no-untyped-call]
        agree([product(rows, weight.t(), bias, relu=True)], [expected.relu()], kind)


def test_few_numbers_of_rows_reach_the_products() -> None:
    """As oneDNN keeps code for each: 8 up to 128, and 31 from there to 4,096."""
    filled_up = [len(filled(torch.ones(count, 1), BFLOAT)) for count in range(1, 4097)]
    assert len(set(filled_up)) == 128 / 16 + (4096 - 128) / 128
    for count, size in enumerate(filled_up, start=1):
        assert 0 <= size - count < (128 if count > 128 else 16)


def test_filling_up_adds_zeros_and_copies_nothing_that_fits() -> None:
    rows = torch.randn(129, 3)
    whole = filled(rows, BFLOAT)
    assert whole.shape == (256, 3)
    assert torch.equal(whole[:129], rows.bfloat16())
    assert not whole[129:].any()
    fitting = torch.randn(256, 3).bfloat16()
    assert filled(fitting, BFLOAT) is fitting
    with torch.backends.mkldnn.flags(enabled=False):  # type: ignore[no-untyped-call]
        assert len(filled(rows, BFLOAT)) == len(rows)


@pytest.mark.parametrize("kind", [FLOAT, BFLOAT])
@pytest.mark.parametrize("rows", [1, 16, 130])
def test_rows_that_fill_up_leave_no_trace_in_the_loss(kind: torch.dtype, rows: int) -> None:
    """Their hidden vectors are zeros, whose softmax is uniform and would cost log V each."""
    hidden, weight = torch.randn(rows, 6, requires_grad=True), torch.randn(9, 6, requires_grad=True)
    targets = torch.randint(9, (rows,))
    with autocast(kind):
        smoothed, exact = projected_cross_entropy(hidden, weight, targets, 0.1)
    logits = hidden @ weight.T
    expected = functional.cross_entropy(logits, targets, label_smoothing=0.1, reduction="sum")
    plain = functional.cross_entropy(logits, targets, reduction="sum")
    bound = {FLOAT: 1e-5, BFLOAT: 2**-5}[kind]
    torch.testing.assert_close(smoothed, expected, rtol=bound, atol=0)
    torch.testing.assert_close(exact, plain.detach(), rtol=bound, atol=0)
    leaves = [hidden, weight]
    agree(torch.autograd.grad(smoothed, leaves), torch.autograd.grad(expected, leaves), kind)


@pytest.mark.parametrize("kind", [FLOAT, BFLOAT])
@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(B, T), (T,), (), (0, T)])
def test_feed_forward_is_its_layers_one_by_one(
    shape: tuple[int, ...],
    kind: torch.dtype,
    probability: float,
    training: bool,
    tiny_config: Callable[..., ModelConfig],
) -> None:
    encoder = tiny_config("transformer").encoder
    assert isinstance(encoder, TransformerEncoderConfig)
    config = replace(encoder, hidden_size=D, feed_forward_dropout=probability)
    layer = FeedForward(config).train(training)
    states = torch.randn(*shape, D, requires_grad=True)
    leaves = [states, *layer.parameters()]
    with autocast(kind):
        torch.manual_seed(3)
        found = values_and_gradients(layer(states), leaves)
        torch.manual_seed(3)
        expected = values_and_gradients(nn.Sequential.forward(layer, states), leaves)
    agree(found, expected, kind)


MASKS = {
    "none": None,
    "padding": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]).bool()[:, None, None, :],
    "nothing": torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]]).bool()[:, None, None, :],
    "causal": torch.ones(T, S, dtype=torch.bool).tril(),
}


def composed_attention(
    queries: Tensor, keys_values: Tensor, mask: Tensor | None, dropout: Dropout
) -> Tensor:
    keys, values = keys_values.chunk(2, dim=-1)
    query, key, value = (
        part.unflatten(2, (H, K)).transpose(1, 2) for part in (queries, keys, values)
    )
    scores = (query @ key.transpose(-1, -2)).to(FLOAT if queries.dtype == BFLOAT else queries.dtype)
    scores = scores / K**0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(-1).nan_to_num(0)
    context = dropout(weights.to(queries.dtype)) @ value
    return context.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("kind", [FLOAT, BFLOAT, DOUBLE])
@pytest.mark.parametrize("probability", [0.0, 0.3])
@pytest.mark.parametrize("mask", MASKS)
def test_attention_is_its_formula_with_its_gradient(
    kind: torch.dtype, probability: float, mask: str
) -> None:
    dropout = Dropout(probability).train()
    queries = torch.randn(B, T, D).to(kind).requires_grad_()
    keys_values = torch.randn(B, S, 2 * D).to(kind).requires_grad_()
    leaves = [queries, keys_values]
    torch.manual_seed(5)
    joined = attend_explicitly(queries, keys_values, MASKS[mask], H, dropout)
    found = values_and_gradients(joined, leaves)
    torch.manual_seed(5)
    expected = composed_attention(queries, keys_values, MASKS[mask], dropout)
    agree(found, values_and_gradients(expected, leaves), kind)
    assert torch.isfinite(torch.cat([part.flatten().float() for part in found])).all()


def test_dropout_of_attention_drops_whole_weights_and_scales_the_others() -> None:
    """With values that are unit vectors, what comes out are the weights themselves."""
    probability, size = 0.5, S
    queries, keys = torch.zeros(B, T, size), torch.zeros(B, size, size)
    values = torch.eye(size).expand(B, size, size)
    keys_values = torch.cat([keys, values], dim=2).requires_grad_()
    weights = attend_explicitly(queries, keys_values, None, 1, Dropout(probability).train())
    assert set(weights.unique().tolist()) == {0.0, 2 / size}


@pytest.mark.parametrize("kind", [FLOAT, BFLOAT])
@pytest.mark.parametrize("place", ["states", "weight", "bias"])
def test_feed_forward_shows_what_is_no_number(
    kind: torch.dtype, place: str, tiny_config: Callable[..., ModelConfig]
) -> None:
    encoder = tiny_config("transformer").encoder
    assert isinstance(encoder, TransformerEncoderConfig)
    layer = FeedForward(replace(encoder, hidden_size=D, feed_forward_dropout=0.0))
    states, widen = torch.randn(3, D), layer[0]
    assert isinstance(widen, Linear)
    with torch.no_grad():
        {"states": states, "weight": widen.weight, "bias": widen.bias}[place].view(-1)[0] = math.nan
    with autocast(kind):
        assert not layer(states).isfinite().all()


def test_compiled_layers_learn_the_same(tiny_config: Callable[..., ModelConfig]) -> None:
    encoder = tiny_config("transformer").encoder
    assert isinstance(encoder, TransformerEncoderConfig)
    layer = FeedForward(replace(encoder, hidden_size=D, feed_forward_dropout=0.0))
    attention = MultiHeadAttention(D, D, H, 0.0)
    states = torch.randn(B, T, D, requires_grad=True)
    leaves = [states, *layer.parameters(), *attention.parameters()]

    def learned(states: Tensor) -> Tensor:
        seen = attention(states, attention.memory(states, None), need_weights=False).context
        result: Tensor = layer(seen)
        return result

    expected = values_and_gradients(learned(states), leaves)
    found = values_and_gradients(
        torch.compile(learned, backend="aot_eager", fullgraph=True)(states), leaves
    )
    agree(found, expected, FLOAT)
