"""A search that ends early returns the best hypotheses of the whole search."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from plain_search import plain_beam_search
from torch import Tensor

from nmt.config.schema import DecodingConfig, EarlyStopping
from nmt.data.batches.batch import source_batch
from nmt.decoding.early_stopping import BestFinished
from nmt.decoding.search import beam_search
from nmt.kernels import dispatch
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import EOS

LENGTHS = (4, 7, 2, 1, 11, 3, 3, 8, 5, 6)


def options(alpha: float, early_stopping: str = EarlyStopping.CERTAIN) -> DecodingConfig:
    return DecodingConfig(
        beam_size=4,
        length_penalty=alpha,
        max_length_ratio=1.0,
        max_length_extra=6,
        early_stopping=early_stopping,
    )


@pytest.fixture
def batch(make_pairs: Callable[..., Any]) -> tuple[Tensor, Tensor]:
    return source_batch([source for source, _ in make_pairs(LENGTHS, LENGTHS)])


class CountedSteps:
    """A model that counts the hypotheses of its steps, and to which EOS is likely."""

    def __init__(self, model: TranslationModel) -> None:
        self.model = model
        self.rows = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def step(self, previous_ids: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.rows += len(previous_ids)
        logits, weights, state = self.model.step(previous_ids, *args, **kwargs)
        logits = 3 * logits
        logits[:, EOS] += 3
        return logits, weights, state


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("wanted", [1, 2])
@pytest.mark.parametrize("on_gpu", [False, True])
def test_the_wanted_hypotheses_are_those_of_the_whole_search(
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    batch: tuple[Tensor, Tensor],
    alpha: float,
    wanted: int,
    *,
    on_gpu: bool,
) -> None:
    model = CountedSteps(tiny_model(tiny_config("transformer", "transformer")))
    whole = plain_beam_search(cast("TranslationModel", model), *batch, options(alpha))
    model.rows = 0
    beam_search(cast("TranslationModel", model), *batch, options(alpha))
    all_rows, model.rows = model.rows, 0
    if on_gpu:
        with dispatch.as_on_accelerator():
            found = beam_search(
                cast("TranslationModel", model), *batch, options(alpha), wanted=wanted
            )
    else:
        found = beam_search(cast("TranslationModel", model), *batch, options(alpha), wanted=wanted)
        assert model.rows <= all_rows
        if not alpha:  # a live hypothesis worse than a finished one is given up at once
            assert model.rows < all_rows
    for one, other in zip(found, whole, strict=True):
        assert [h.ids for h in one[:wanted]] == [h.ids for h in other[:wanted]]


def test_the_full_search_goes_on_and_the_likely_bound_ends_first(
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    batch: tuple[Tensor, Tensor],
) -> None:
    model = CountedSteps(tiny_model(tiny_config("transformer", "transformer")))
    rows = {}
    for kind in EarlyStopping:
        model.rows = 0
        beam_search(cast("TranslationModel", model), *batch, options(1.0, kind), wanted=1)
        rows[kind] = model.rows
    model.rows = 0
    beam_search(cast("TranslationModel", model), *batch, options(1.0))
    assert rows[EarlyStopping.FULL] == model.rows
    assert rows[EarlyStopping.LIKELY] < rows[EarlyStopping.CERTAIN] <= model.rows


def best_of(early: str, wanted: int | None = 1) -> BestFinished:
    """Return the best finished hypotheses of three sentences of at most 10 pieces, with N = 4."""
    limits = torch.tensor([10, 10, 10])
    return BestFinished.empty(limits, 10, options(1.0, early), wanted)


def test_a_bound_is_the_best_attainable_score() -> None:
    step, full = torch.tensor([2]), torch.tensor([[False]] * 3)
    ended = torch.tensor([[-4.0], [-4.0], [float("-inf")]])
    # With 3 pieces, the score is -4 / (8 / 6) = -3.
    certain = best_of(EarlyStopping.CERTAIN).with_ended(ended, step)
    # With 10 pieces, a live hypothesis of -7.4 would have -2.96, and one of -7.6, -3.04.
    live = torch.tensor([[-7.4], [-7.6], [-7.6]])
    assert certain.ends_search(live, step, full).tolist() == [[False], [True], [False]]
    likely = best_of(EarlyStopping.LIKELY).with_ended(ended, step)
    # If it ends with the next piece, it has 4: -4.4 gives -2.93, and -4.6 gives -3.07.
    live = torch.tensor([[-4.4], [-4.6], [-4.6]])
    assert likely.ends_search(live, step, full).tolist() == [[False], [True], [False]]


@pytest.mark.parametrize("early", EarlyStopping)
@pytest.mark.parametrize("wanted", [None, 1, 2])
def test_n_finished_hypotheses_end_a_search_that_has_no_better_live_one(
    early: str, wanted: int | None
) -> None:
    step, ended = torch.tensor([2]), torch.tensor([[-4.0, -9.0]]).expand(3, 2)
    best = best_of(early, wanted).with_ended(ended, step)
    live = torch.tensor([[-4.4], [-4.6], [-4.6]])  # -2.93 and -3.07 against -3, as above
    full = torch.tensor([[True], [True], [False]])
    ends = best.ends_search(live, step, full).tolist()
    assert ends[:2] == [[False], [True]]
    assert ends[2] == [early == EarlyStopping.LIKELY and wanted == 1]
