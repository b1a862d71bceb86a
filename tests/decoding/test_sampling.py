"""Samples follow the model's distribution and do not depend on the batch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.config.schema import DecodingConfig
from nmt.data.batches.batch import source_batch
from nmt.decoding.sampling import Sampling, draw, sample
from nmt.decoding.search import Hypothesis
from nmt.errors import UserError
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD

OPTIONS = DecodingConfig(
    beam_size=1, length_penalty=0.0, max_length_ratio=1.0, max_length_extra=6, batch_size=8
)
SOURCES = [[5, 6, 7], [8], [9, 10, 11, 12, 13], [4, 4]]


def samples_of(
    model: TranslationModel,
    sources: list[list[int]],
    positions: list[int] | None = None,
    options: DecodingConfig = OPTIONS,
    **settings: Any,
) -> list[list[Hypothesis]]:
    ids, mask = source_batch(sources)
    positions = list(range(len(sources))) if positions is None else positions
    return sample(model, ids, mask, positions, options, Sampling(**settings), need_weights=True)


def assert_as_frequent(pieces: Tensor, expected: Tensor) -> None:
    """Pearson's chi-square test at about 1e-4; pieces expected fewer than 5 times are pooled."""
    counts = torch.bincount(pieces, minlength=len(expected)).double()
    wanted = expected * len(pieces)
    assert counts[wanted == 0].sum() == 0
    common = wanted >= 5
    counts = torch.cat([counts[common], counts[~common].sum()[None]])
    wanted = torch.cat([wanted[common], wanted[~common].sum()[None]]).clamp_min(1e-9)
    statistic = ((counts - wanted).square() / wanted).sum().item()
    freedom = int(common.sum())
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5 + 8, statistic


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [
        *((1.0, None, 1.0), (0.5, None, 1.0), (2.0, 5, 1.0), (1.0, 1, 1.0)),
        *((1.0, None, 0.6), (0.7, 9, 0.8), (2.0, None, 1e-9)),
    ],
)
def test_first_pieces_are_as_frequent_as_their_probabilities(
    tiny_model: Callable[..., TranslationModel],
    tiny_config: Callable[..., Any],
    temperature: float,
    top_k: int | None,
    top_p: float,
) -> None:
    model = tiny_model(tiny_config())
    ids, mask = source_batch(SOURCES[:1])
    state = model.start(model.encode(ids, mask))
    logits = 3 * model.step(torch.tensor([BOS]), state)[0].double().detach()
    with torch.no_grad():
        model.output.weight.mul_(3)  # away from the uniform distribution
    count = 3000
    (found,) = samples_of(
        model, SOURCES[:1], temperature=temperature, top_k=top_k, top_p=top_p, count=count
    )
    first = torch.tensor([(hypothesis.ids or [EOS])[0] for hypothesis in found])
    logits[:, [PAD, BOS]] = float("-inf")
    expected = (logits / temperature).softmax(1)[0]
    if top_k is not None:
        expected[expected < expected.topk(top_k).values[-1]] = 0
    nucleus = nucleus_of((expected / expected.sum()).tolist(), top_p)
    expected[[piece for piece in range(len(expected)) if piece not in nucleus]] = 0
    assert_as_frequent(first, expected / expected.sum())


def nucleus_of(shares: list[float], top_p: float) -> set[int]:
    """The pieces of the smallest set that has the probability, one by one."""
    nucleus: set[int] = set()
    total = 0.0
    for piece in sorted(range(len(shares)), key=lambda piece: -shares[piece]):
        if total >= top_p:
            break
        nucleus.add(piece)
        total += shares[piece]
    return nucleus


def drawable(shares: list[float], **options: Any) -> set[int]:
    """The indices of the shares that some number draws."""
    order = [piece for piece in range(len(shares) + 2) if piece not in (PAD, BOS)]
    logits = torch.zeros(len(order) + 2, dtype=torch.float64)
    logits[order] = torch.tensor(shares, dtype=torch.float64).log()
    numbers = torch.arange(1000, dtype=torch.float64) / 1000
    drawn = draw(logits.repeat(1000, 1), numbers, 1.0, **{"top_k": None, **options})
    return {order.index(piece) for piece in drawn.tolist()}


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (0.05, {2}),  # the most probable piece alone, however small P is
        (0.49, {2}),
        (0.51, {2, 0}),
        (0.74, {2, 0}),
        (0.8, {2, 0, 1, 3}),  # a tie at the border: both pieces
        (1.0, {0, 1, 2, 3}),
    ],
)
def test_the_nucleus_is_the_smallest_set_that_has_the_probability(
    top_p: float, kept: set[int]
) -> None:
    assert drawable([0.25, 0.125, 0.5, 0.125], top_p=top_p) == kept


def test_top_p_adds_up_what_top_k_leaves() -> None:
    shares = [0.4, 0.2, 0.2, 0.1, 0.1]
    # Among the first three pieces, the shares are 1/2, 1/4 and 1/4.
    assert drawable(shares, top_k=3, top_p=0.49) == {0}
    assert drawable(shares, top_p=0.49) == {0, 1, 2}


def test_a_nucleus_of_everything_changes_no_bit(
    model: TranslationModel,
) -> None:
    plain = samples_of(model, SOURCES, temperature=1.3, count=2)
    nucleus = samples_of(model, SOURCES, temperature=1.3, count=2, top_p=1.0)
    assert [[(h.ids, h.score) for h in row] for row in plain] == [
        [(h.ids, h.score) for h in row] for row in nucleus
    ]


def test_a_nucleus_does_not_depend_on_the_batch(model: TranslationModel) -> None:
    together = samples_of(model, SOURCES, count=2, top_p=0.7)
    for position in (2, 0):
        (alone,) = samples_of(model, [SOURCES[position]], [position], count=2, top_p=0.7)
        assert [h.ids for h in alone] == [h.ids for h in together[position]]


def test_a_number_selects_the_piece_whose_interval_contains_it() -> None:
    shares = torch.tensor([0.3, 0.1, 0.3, 0.2, 0.1], dtype=torch.float64)
    numbers = torch.tensor(
        [0.0, 0.16, 0.17, 0.49, 0.51, 0.82, 0.84, 1 - 1e-16], dtype=torch.float64
    )
    pieces = draw(shares.log().repeat(8, 1), numbers, 1.0, None)
    allowed = [piece for piece in range(5) if piece not in (PAD, BOS)]  # these are never drawn
    edges = (shares[allowed] / shares[allowed].sum()).cumsum(0)
    expected = [allowed[int((edges > number).nonzero()[0])] for number in numbers[:-1]]
    assert pieces.tolist() == [*expected, allowed[-1]]


def test_samples_do_not_depend_on_the_batch(
    model: TranslationModel,
) -> None:
    together = samples_of(model, SOURCES, count=2, seed=3)
    for position in (2, 0, 3):
        (alone,) = samples_of(model, [SOURCES[position]], [position], count=2, seed=3)
        assert [h.ids for h in alone] == [h.ids for h in together[position]]
        for one, other in zip(alone, together[position], strict=True):
            assert one.log_prob == pytest.approx(other.log_prob, rel=1e-4, abs=1e-4)
            if one.weights is not None and other.weights is not None:
                torch.testing.assert_close(one.weights, other.weights, rtol=1e-3, atol=1e-4)
    again = samples_of(model, SOURCES, count=2, seed=3)
    assert [[h.ids for h in row] for row in again] == [[h.ids for h in row] for row in together]


def test_samples_depend_on_the_seed_and_the_position(
    tiny_model: Callable[..., TranslationModel], tiny_config: Callable[..., Any]
) -> None:
    model = tiny_model(tiny_config())
    one = SOURCES[2]

    def ids(**settings: Any) -> list[list[int]]:
        return [h.ids for h in samples_of(model, [one, one], **settings)[0]]

    assert ids(seed=1) != ids(seed=2)
    assert ids(seed=1, first=7) != ids(seed=1)
    same, other = samples_of(model, [one, one])
    assert same[0].ids != other[0].ids, "two positions have the same sample"
    several = ids(count=4)
    assert several[:1] == ids(count=1), "more samples change the first"
    assert len({tuple(draw) for draw in several}) > 1
    later = samples_of(model, [one], [3], first=4)
    assert later[0][0].ids == samples_of(model, [one], [7])[0][0].ids


def test_log_prob_does_not_depend_on_the_temperature(
    model: TranslationModel, batch_of: Callable[..., Any]
) -> None:
    found = samples_of(model, SOURCES, temperature=0.7, top_k=9)
    for source, (hypothesis,) in zip(SOURCES, found, strict=True):
        batch = batch_of([(source, hypothesis.ids)])
        with torch.no_grad():
            output = model(
                batch.source_ids,
                batch.source_mask,
                batch.target_input_ids,
                need_weights=model.decoder.attends,
            )
            log_probs = model.predictions(output).log_softmax(-1)[0]
        forced = log_probs.gather(1, batch.target_output_ids[0][:, None]).sum().item()
        assert hypothesis.log_prob == pytest.approx(forced, rel=1e-4, abs=1e-3)
        assert hypothesis.score == hypothesis.log_prob
        if output.weights is not None:
            assert hypothesis.weights is not None
            torch.testing.assert_close(hypothesis.weights, output.weights[0], rtol=1e-3, atol=1e-4)


def test_eos_is_forced_at_the_maximum_length(
    tiny_model: Callable[..., TranslationModel], tiny_config: Callable[..., Any]
) -> None:
    short = DecodingConfig(
        beam_size=1, length_penalty=0.0, max_length_ratio=0.0, max_length_extra=3, batch_size=8
    )
    found = samples_of(tiny_model(tiny_config()), SOURCES * 10, options=short)
    lengths = {len(hypothesis.ids) for (hypothesis,) in found}
    assert max(lengths) == 2
    assert all(not {PAD, BOS, EOS} & set(h.ids) for (h,) in found)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (dict(temperature=0.0), "temperature is 0.0"),
        (dict(temperature=float("nan")), "temperature is nan"),
        (dict(top_k=0), "top-k is 0"),
        *((dict(top_p=p), f"top-p is {p}") for p in (0.0, -0.1, 1.0001, float("nan"))),
        (dict(seed=-1), "seed is -1"),
    ],
)
def test_values_out_of_range_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(UserError, match=match):
        Sampling(**settings).checked()
