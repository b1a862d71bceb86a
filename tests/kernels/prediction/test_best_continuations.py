"""The best continuations found by groups are those of the plain path, for any sizes."""

import pytest
import torch
from torch import Tensor

from nmt.kernels import dispatch
from nmt.kernels.prediction import chunk_sizes
from nmt.kernels.prediction.best_continuations import (
    best_continuations,
    grouped_best_continuations,
    log_normalizer,
    plain_best_continuations,
    top_k,
)

EXCLUDED = 0, 2


def hypotheses(sentences: int, beams: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    logits = torch.randn(sentences * beams, vocabulary) * 4
    return logits, torch.randn(sentences, beams).sub(5).sort(descending=True).values


@pytest.fixture
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "FEWEST_GROUPED", 1)
    monkeypatch.setattr(dispatch, "FEWEST_SORTED", 1)


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("vocabulary", [4, 7, 15, 16, 17, 100, 1601])
@pytest.mark.parametrize(("sentences", "beams", "count"), [(1, 1, 2), (3, 1, 6), (4, 5, 10)])
@torch.inference_mode()
def test_groups_have_the_best_continuations(
    vocabulary: int, sentences: int, beams: int, count: int
) -> None:
    logits, before = hypotheses(sentences, beams, vocabulary)
    logits[:, 0] += 30  # an excluded piece would always be the best
    if beams > 1:
        before[0, -1] = float("-inf")  # a beam that is unused
    at_limit = torch.arange(sentences) % 2 == 1
    for only in (None, (at_limit, 3)):
        expected = plain_best_continuations(logits, before, count, EXCLUDED, only)
        found = grouped_best_continuations(logits, before, count, EXCLUDED, only)
        torch.testing.assert_close(found.scores, expected.scores, rtol=1e-6, atol=1e-5)
        exist = expected.scores > float("-inf")
        assert torch.equal(found.pieces[exist], expected.pieces[exist])
        assert torch.equal(found.beams[exist], expected.beams[exist])
        assert found.pieces.max() < vocabulary
        assert found.pieces.shape == (sentences, count)


@pytest.mark.usefixtures("_everything_is_large")
@torch.inference_mode()
def test_logits_are_left_as_they_are() -> None:
    logits, before = hypotheses(2, 3, 50)
    copy = logits.clone()
    best_continuations(logits, before, 6, excluded=EXCLUDED)
    assert torch.equal(logits, copy)


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows_in_cache", [1, 3, 100])
@torch.inference_mode()
def test_the_normalizer_is_logsumexp(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, rows_in_cache: int
) -> None:
    logits = (torch.randn(7, 40) * 50).to(dtype)
    logits[2] = float("-inf")
    logits[3, 5] = 1e30  # e^x is infinite
    monkeypatch.setattr(chunk_sizes, "BYTES_IN_CACHE", rows_in_cache * 40 * logits.element_size())
    torch.testing.assert_close(log_normalizer(logits), logits.float().logsumexp(dim=1))


@pytest.mark.usefixtures("_everything_is_large")
@pytest.mark.parametrize("width", [1, 5, 64, 101, 1000, 1009])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_top_k_returns_what_topk_returns(width: int, count: int) -> None:
    values = torch.randn(6, width)
    count = min(count, width)
    best, places = top_k(values, count)
    expected = values.topk(count)
    assert torch.equal(best, expected.values)
    assert torch.equal(places, expected.indices)


@pytest.mark.usefixtures("_everything_is_large")
def test_top_k_of_mostly_nothing_names_only_places_that_exist() -> None:
    values = torch.full((2, 1009), float("-inf"))
    values[:, 1000] = 1.0
    best, places = top_k(values, 10)
    assert places[:, 0].tolist() == [1000, 1000]
    assert (best[:, 1:] == float("-inf")).all()
    assert places.max() < 1009


@torch.inference_mode()
def test_the_plain_kernels_rule_groups_out() -> None:
    logits = torch.zeros(40, 5000)
    assert dispatch.candidates_path(logits) is dispatch.KernelPath.FUSED
    dispatch.set_kernels("plain")
    try:
        assert dispatch.candidates_path(logits) is dispatch.KernelPath.PLAIN
        assert dispatch.top_k_path(logits) is dispatch.KernelPath.PLAIN
    finally:
        dispatch.set_kernels("auto")
    with dispatch.as_on_accelerator():
        assert dispatch.candidates_path(logits) is dispatch.KernelPath.PLAIN
