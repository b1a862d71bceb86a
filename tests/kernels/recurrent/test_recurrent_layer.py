"""A recurrent encoder layer: the fast path equals the packed one; given lengths are used."""

import pytest
import torch
from torch import nn

from nmt.kernels import dispatch
from nmt.kernels.dispatch import KernelPath
from nmt.kernels.recurrent.recurrent_layer import plain_recurrent_layer, recurrent_layer
from nmt.model.recurrent.recurrent_cells import CELLS

B, S, E, U = 3, 5, 4, 6


def padded() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """States [B, S, E], their mask [B, S] and lengths [B]."""
    lengths = torch.tensor([5, 2, 4])
    return torch.randn(B, S, E), torch.arange(S) < lengths[:, None], lengths


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_fast_layer_equals_the_packed_one(cell: str, bidirectional: bool) -> None:
    kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
    layer = kind(E, U, batch_first=True, bidirectional=bidirectional)
    states, mask, lengths = padded()
    results = [
        plain_recurrent_layer(layer, states, mask),
        recurrent_layer(layer, CELLS[cell].step, states, mask, lengths),
    ]
    for plain, fast in zip(*results, strict=True):
        torch.testing.assert_close(plain, fast)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_layer_over_padded_sentences_equals_the_packed_one(
    cell: str, bidirectional: bool
) -> None:
    """As on a GPU, where no shape may depend on a length; gradients too."""
    kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
    layer = kind(E, U, batch_first=True, bidirectional=bidirectional).double()
    states, mask, lengths = padded()
    states = states.double().requires_grad_()
    leaves = [states, *layer.parameters()]
    with dispatch.as_on_accelerator():
        assert dispatch.recurrent_layer_path(states) is KernelPath.TORCH
        found = recurrent_layer(layer, CELLS[cell].step, states, mask)
    results = []
    for pair in (plain_recurrent_layer(layer, states, mask, lengths), found):
        loss = sum((part * torch.arange(part.numel()).view(part.shape)).sum() for part in pair)
        assert isinstance(loss, torch.Tensor)
        results.append([*pair, *torch.autograd.grad(loss, leaves)])
    for plain, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)


def test_given_lengths_are_used_in_place_of_the_mask() -> None:
    """So that the host does not wait for a mask on a GPU: one on `meta` cannot be read at all."""
    layer = nn.GRU(E, U, batch_first=True)
    states, mask, lengths = padded()
    expected = plain_recurrent_layer(layer, states, mask)
    found = plain_recurrent_layer(layer, states, mask.to("meta"), lengths)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    with pytest.raises(NotImplementedError):
        plain_recurrent_layer(layer, states, mask.to("meta"))
