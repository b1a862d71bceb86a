"""Weights and matrices in a loop: one product computes the gradient that autograd sums by steps."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.recurrent.loop_over_time import loop_over_time, repeated_linear, repeated_product
from nmt.model.losses.loss import sequence_loss
from nmt.model.seq2seq import TranslationModel

BATCH, ROWS, LENGTH, SIZE, STEPS = 3, 2, 5, 4, 4


def plain_layers(layer: nn.Linear, state: Tensor) -> Tensor:
    for _ in range(4):
        state = repeated_linear(layer, state).tanh() + state
    return state.square().sum()


def looped_layers(layer: nn.Linear, state: Tensor) -> Tensor:
    with loop_over_time():
        return plain_layers(layer, state)


@pytest.mark.parametrize("bias", [True, False])
def test_gradient_is_that_of_plain_layers(bias: bool) -> None:
    layer = nn.Linear(5, 5, bias=bias).double()
    first = torch.randn(3, 2, 5, dtype=torch.double, requires_grad=True)
    found = looped_layers(layer, first)
    expected = plain_layers(layer, first)
    torch.testing.assert_close(
        torch.autograd.grad(found, [first, *layer.parameters()]),
        torch.autograd.grad(expected, [first, *layer.parameters()]),
    )


def test_frozen_layer_passes_the_gradient_on_and_gets_none() -> None:
    layer = nn.Linear(5, 5).requires_grad_(False)
    first = torch.randn(2, 5, requires_grad=True)
    looped_layers(layer, first).backward()
    assert layer.weight.grad is None
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


class _Results(TorchDispatchMode):
    """Records the name of each operation and the shape of its result."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[int, ...]]] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.found.add((func.overloadpacket.__name__, tuple(result.shape)))
        return result


@pytest.mark.parametrize("trained", [{"weight"}, {"bias"}, {"weight", "bias"}])
@pytest.mark.parametrize("bias", [True, False])
def test_only_the_gradients_of_trained_parameters_are_computed(
    bias: bool, trained: set[str]
) -> None:
    layer = nn.Linear(5, 7, bias=bias)
    parameters = dict(layer.named_parameters())
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in trained)
    first = torch.randn(3, 5, requires_grad=True)
    with loop_over_time():
        loss = repeated_linear(layer, first).square().sum()
    with _Results() as results:
        loss.backward()
    assert (("mm", (7, 5)) in results.found) == ("weight" in trained)
    assert (("sum", (7,)) in results.found) == ("bias" in trained & parameters.keys())
    for name, parameter in parameters.items():
        assert (parameter.grad is not None) == (name in trained)


def test_a_loop_leaves_no_state_on_its_layers() -> None:
    layer = nn.Linear(5, 5)
    before = dict(vars(layer))
    looped_layers(layer, torch.randn(2, 5))
    assert vars(layer) == before


def test_two_loops_over_a_layer_have_separate_gradients() -> None:
    layer, states = nn.Linear(5, 5), torch.randn(2, 3, 5)
    losses = [looped_layers(layer, state) for state in states]
    for loss, state in reversed(list(zip(losses, states, strict=True))):
        found = torch.autograd.grad(loss, layer.weight)
        torch.testing.assert_close(
            found, torch.autograd.grad(plain_layers(layer, state), layer.weight)
        )


def test_a_loop_ends_with_its_block_after_an_error_too() -> None:
    layer, state = nn.Linear(5, 5), torch.randn(2, 5)
    outside = repeated_linear(layer, state)
    with suppress(ZeroDivisionError), loop_over_time():
        inside = repeated_linear(layer, state)
        assert type(inside.grad_fn) is not type(outside.grad_fn)
        raise ZeroDivisionError
    assert type(repeated_linear(layer, state).grad_fn) is type(outside.grad_fn)


def test_another_thread_is_not_in_the_loop() -> None:
    layer, state = nn.Linear(5, 5), torch.randn(2, 5)
    outside = repeated_linear(layer, state)
    with loop_over_time(), ThreadPoolExecutor(1) as pool:
        found = pool.submit(repeated_linear, layer, state).result()
    assert type(found.grad_fn) is type(outside.grad_fn)


@pytest.mark.parametrize("attention", ["bahdanau", "luong_general", "multi_head"])
def test_a_decoders_gradient_is_the_same_with_plain_layers(
    attention: str,
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model(tiny_config("rnn", attention=attention)).double().eval()
    parameters = list(model.parameters())
    found = torch.autograd.grad(sequence_loss(model, ragged_batch, 0.1).smoothed, parameters)
    monkeypatch.setattr(dispatch, "loop_over_time_path", lambda: KernelPath.PLAIN)
    expected = torch.autograd.grad(sequence_loss(model, ragged_batch, 0.1).smoothed, parameters)
    torch.testing.assert_close(found, expected)


def test_a_gradient_of_the_states_alone_does_not_change_that_of_the_weights() -> None:
    layer, first = nn.Linear(5, 5), torch.randn(2, 5, requires_grad=True)
    loss = looped_layers(layer, first)
    torch.autograd.grad(loss, first, retain_graph=True)
    twice = torch.autograd.grad(loss, layer.weight)
    once = torch.autograd.grad(looped_layers(layer, first), layer.weight)
    torch.testing.assert_close(twice, once)


def plain_products(rows: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attend from rows [B, T, X], step after step; each step starts from the last one's result."""
    for _ in range(STEPS):
        scores = repeated_product(rows, keys, transposed=True)
        rows = rows + repeated_product(scores.softmax(-1), values)
    return rows.square().sum()


def looped_products(rows: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    with loop_over_time():
        return plain_products(rows, keys, values)


def inputs() -> list[Tensor]:
    shapes = (BATCH, ROWS, SIZE), (BATCH, LENGTH, SIZE), (BATCH, LENGTH, SIZE)
    return [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("shared", [False, True])
def test_gradient_is_that_of_plain_products(shared: bool) -> None:
    rows, keys, values = inputs()
    values = keys if shared else values  # the score of Luong's dot product
    leaves = [rows, keys] if shared else [rows, keys, values]
    found = looped_products(rows, keys, values)
    expected = plain_products(rows, keys, values)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves)
    )


def test_frozen_matrices_get_no_gradient_and_pass_that_of_the_rows_on() -> None:
    rows, keys, values = inputs()
    keys, values = keys.detach(), values.detach()
    found = looped_products(rows, keys, values)
    expected = plain_products(rows, keys, values)
    torch.testing.assert_close(
        torch.autograd.grad(found, rows), torch.autograd.grad(expected, rows)
    )


class _Additions(TorchDispatchMode):
    """Counts the additions whose result has the shape of the matrices."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if "add" in str(func) and result.shape == (BATCH, LENGTH, SIZE):
            self.count += 1
        return result


@pytest.fixture
def additions() -> Iterator[_Additions]:
    with _Additions() as mode:
        yield mode


def test_no_step_adds_to_the_gradient_of_the_matrices(additions: _Additions) -> None:
    looped_products(*inputs()).backward()
    assert additions.count == 0
    plain_products(*inputs()).backward()
    assert additions.count >= STEPS - 1
