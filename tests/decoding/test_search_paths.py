"""Every way in which a search runs gives the hypotheses of the plain search.

Ways: only as much as a step needs (a CPU); fixed shapes (a GPU); the step captured as a graph.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from plain_search import plain_beam_search
from recorded_graphs import FailingGraphs, RecordedGraphs
from torch import Tensor, nn

from nmt.config.schema import DecodingConfig
from nmt.data.batches.batch import source_batch
from nmt.decoding import search_loop
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.sampling import Sampling, sample
from nmt.decoding.search import beam_search
from nmt.kernels import dispatch
from nmt.kernels.attention import step_attention
from nmt.kernels.linear.weight_layout import lay_out_for_search
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import EOS

Results = list[list[Hypothesis]]
LENGTHS = (4, 7, 2, 1, 11, 3, 3, 8, 5, 6)


def options(beam_size: int, *, ratio: float = 1.0, extra: int = 6) -> DecodingConfig:
    return DecodingConfig(
        beam_size=beam_size, length_penalty=0.6, max_length_ratio=ratio, max_length_extra=extra
    )


def assert_same(found: Results, expected: Results, meaning: str) -> None:
    """Hypotheses are equal; scores and weights to the rounding of float32.

    A log-probability is a sum of at most 20 terms of about 3, each with a relative error of 1e-7
    times the few hundred operations before it.
    """
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert [h.ids for h in one] == [h.ids for h in other], meaning
        for a, b in zip(one, other, strict=True):
            assert a.log_prob == pytest.approx(b.log_prob, abs=1e-4), meaning
            assert a.score == pytest.approx(b.score, abs=1e-4), meaning
            if a.weights is None or b.weights is None:
                assert a.weights is b.weights
                continue
            torch.testing.assert_close(a.weights, b.weights, rtol=1e-4, atol=1e-5, msg=meaning)


@pytest.fixture
def batch(make_pairs: Callable[..., Any]) -> tuple[Tensor, Tensor]:
    pairs = make_pairs(LENGTHS, LENGTHS)
    return source_batch([source for source, _ in pairs])


@pytest.fixture
def _many_shapes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Room grows, and sentences are dropped, within a few steps of a few sentences.

    Their attention reads keys by columns.
    """
    with monkeypatch.context() as patch:
        patch.setattr(search_loop, "FIRST_ROOM", 4)
        patch.setattr(search_loop, "FEWEST_SENTENCES", 2)
        patch.setattr(step_attention, "FEWEST_HEADS", 1)
        yield


@pytest.mark.usefixtures("_many_shapes")
@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_all_ways_find_the_hypotheses_of_the_plain_search(
    model: TranslationModel, batch: tuple[Tensor, Tensor], beam_size: int
) -> None:
    settings = options(beam_size)
    with torch.no_grad():
        model.output.weight.mul_(5)  # few hypotheses are equally probable
    expected = plain_beam_search(model, *batch, settings, need_weights=True)
    exact = beam_search(model, *batch, settings, need_weights=True)
    assert_same(exact, expected, "as on a CPU")
    silent = [[Hypothesis(h.ids, h.log_prob, h.score, None) for h in found] for found in expected]
    with dispatch.as_on_accelerator():
        assert_same(beam_search(model, *batch, settings), silent, "fixed shapes")
        graphs = RecordedGraphs()
        assert_same(beam_search(model, *batch, settings, graphs=graphs), silent, "captured")
        assert graphs.graphs, "nothing was captured"
        shown = beam_search(model, *batch, settings, need_weights=True)
        assert_same(shown, expected, "with weights")


@pytest.fixture
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "FEWEST_GROUPED", 1)
    monkeypatch.setattr(dispatch, "FEWEST_SORTED", 1)


def lay_out(model: TranslationModel) -> None:
    lay_out_for_search(layer for layer in model.modules() if isinstance(layer, nn.Linear))


@pytest.mark.usefixtures("_many_shapes", "_everything_is_large")
def test_sorting_by_groups_and_weights_by_columns_change_no_hypothesis(
    model: TranslationModel, batch: tuple[Tensor, Tensor]
) -> None:
    settings = options(4)
    with torch.no_grad():
        model.output.weight.mul_(5)
    expected = plain_beam_search(model, *batch, settings)
    lay_out(model)
    assert_same(beam_search(model, *batch, settings), expected, "together")
    ids, mask = (part[[7, 2, 0]] for part in batch)
    some = [expected[place] for place in (7, 2, 0)]
    assert_same(beam_search(model, ids, mask, settings), some, "fewer, in another order")


@pytest.mark.usefixtures("_many_shapes", "_everything_is_large")
def test_two_threads_find_the_hypotheses_of_one(
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    batch: tuple[Tensor, Tensor],
) -> None:
    model = tiny_model(tiny_config("transformer", "transformer"))
    lay_out(model)
    expected = beam_search(model, *batch, options(4))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_same(beam_search(model, *batch, options(4)), expected, "two threads")
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("_many_shapes")
@pytest.mark.parametrize("count", [1, 3])
def test_samples_are_the_same_in_all_ways(
    model: TranslationModel, batch: tuple[Tensor, Tensor], count: int
) -> None:
    sampling = Sampling(count=count, top_k=7, top_p=0.9)
    draw = functools.partial(sample, model, *batch, range(len(LENGTHS)), options(1), sampling)
    expected = draw()
    with dispatch.as_on_accelerator():
        assert_same(draw(), expected, "fixed shapes")
        graphs = RecordedGraphs()
        assert_same(draw(graphs=graphs), expected, "captured")
    assert graphs.graphs, "nothing was captured"


def test_a_capture_that_fails_changes_nothing(
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    batch: tuple[Tensor, Tensor],
) -> None:
    model = tiny_model(tiny_config("transformer", "transformer"))
    expected = plain_beam_search(model, *batch, options(3))
    with dispatch.as_on_accelerator():
        found = beam_search(model, *batch, options(3), graphs=FailingGraphs())
    assert_same(found, expected, "without a graph")


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_long_translation_outgrows_its_buffers(
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    batch: tuple[Tensor, Tensor],
    *,
    accelerated: bool,
) -> None:
    model = tiny_model(tiny_config("transformer", "transformer", positions="t5_bias"))
    with torch.no_grad():
        model.output.weight[EOS] = 0  # no piece is less probable for long
        model.decoder.embedding.weight.mul_(3)
    settings = options(3, ratio=0.0, extra=75)  # rooms of 16, 32, 64, 128 pieces
    expected = plain_beam_search(model, *batch, settings)
    assert max(len(h.ids) for found in expected for h in found) > 64
    with ExitStack() as stack:
        if accelerated:
            stack.enter_context(dispatch.as_on_accelerator())
        assert_same(beam_search(model, *batch, settings), expected, "long")


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
def test_the_host_seldom_reads_the_device(
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    batch: tuple[Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    reads: list[str] = []
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__int__", "__float__", "nonzero"):
        original = getattr(torch.Tensor, name)

        def counted(self: Tensor, *args: Any, _name: str = name, _original: Any = original) -> Any:
            reads.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(torch.Tensor, name, counted)
    model = tiny_model(tiny_config(kind, kind))
    with dispatch.as_on_accelerator():
        beam_search(model, *batch, options(5, ratio=0.0, extra=40))
    # Of the lengths: cpu, their maximum and tolist; at the end: cpu and numpy of two tensors.
    allowed = 40 // search_loop.STEPS_PER_READ + 1
    assert reads.count("tolist") <= allowed + 1
    assert len(reads) <= allowed + 12, reads
