"""Scores of additive attention without gradients, compared with their formula."""

import pytest
import torch
from torch import nn

from nmt.kernels import dispatch
from nmt.kernels.attention import additive_scores as kernel
from nmt.kernels.attention.additive_scores import additive_scores, plain_additive_scores

B, T, S, A = 5, 3, 7, 16


@pytest.fixture(params=[1, 2 * T * S * A, 1 << 20], ids=["one", "two", "all"])
def _sentences_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "VALUES_AT_ONCE", request.param)


@pytest.mark.usefixtures("_sentences_at_once")
@pytest.mark.parametrize("rows", [1, T], ids=["keys", "keys of each query, as with coverage"])
def test_they_equal_the_formula(rows: int) -> None:
    torch.manual_seed(rows)
    queries, keys = torch.randn(B, T, A).double(), torch.randn(B, rows, S, A).double()
    vector = nn.Linear(A, 1, bias=False).double()
    expected = plain_additive_scores(queries, keys, vector)
    with torch.no_grad():
        assert dispatch.works_in_place(keys)
        found = additive_scores(queries, keys, vector)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("_sentences_at_once")
def test_narrow_numbers_are_added_in_float32() -> None:
    torch.manual_seed(1)
    queries, keys = torch.randn(B, T, A).bfloat16(), torch.randn(B, 1, S, A).bfloat16()
    vector = nn.Linear(A, 1, bias=False)
    vector.weight.data = vector.weight.data.bfloat16().float()
    expected = plain_additive_scores(queries.float(), keys.float(), vector)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = additive_scores(queries, keys, vector)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-6)


def test_gradients_are_those_of_the_formula() -> None:
    queries, keys = torch.randn(B, T, A), torch.randn(B, 1, S, A)
    vector = nn.Linear(A, 1, bias=False)
    gradients = [
        torch.autograd.grad(scores(queries, keys, vector).square().sum(), vector.weight)
        for scores in (plain_additive_scores, additive_scores)
    ]
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert gradients[0][0].abs().max() > 0
