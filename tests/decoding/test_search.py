"""Beam search compared with enumeration, on invented distributions and on every kind of model.

Legend: B sentences, V vocabulary, L layers with attention, H heads, T target, S source.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from itertools import product
from math import inf
from typing import Any, cast

import pytest
import torch
from invented_model import FakeModel, Prefix, V, random_log_probs
from torch import Tensor

from nmt.config.schema import DecodingConfig, LengthNormalization
from nmt.data.batches.batch import Batch, source_batch
from nmt.decoding.search import Hypothesis, beam_search, length_penalty
from nmt.kernels import dispatch
from nmt.model.seq2seq import TranslationModel
from nmt.text.special_tokens import BOS, EOS, PAD, UNK

Collate = Callable[[list[Any]], Batch]
A, B, C = 4, 5, 6  # pieces


def options(
    beam_size: int, *, length_penalty: float = 0.0, ratio: float = 0.0, extra: int = 4
) -> DecodingConfig:
    return DecodingConfig(
        beam_size=beam_size,
        length_penalty=length_penalty,
        max_length_ratio=ratio,
        max_length_extra=extra,
        batch_size=64,
    )


@torch.inference_mode()
def teacher_forced(model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Return the teacher-forced log-probabilities [B], EOS included, and the attention weights."""
    inputs = batch.source_ids, batch.source_mask, batch.target_input_ids
    output = model(*inputs, need_weights=True)
    log_probs = model.predictions(output).log_softmax(dim=-1)
    chosen = log_probs.gather(2, batch.target_output_ids[:, :, None]).squeeze(2)
    return chosen.masked_fill(batch.target_output_ids == PAD, 0.0).sum(1), output.weights


def search(
    log_probs: Callable[[int, Prefix], Tensor], sentences: list[int], settings: DecodingConfig
) -> list[list[Hypothesis]]:
    model = cast("TranslationModel", FakeModel(log_probs))
    ids, mask = source_batch([[sentence] * (1 + sentence % 3) for sentence in sentences])
    return beam_search(model, ids, mask, settings)


def log_prob_of(sentence: int, ids: list[int]) -> float:
    pieces = (*ids, EOS)
    return sum(
        random_log_probs(sentence, pieces[:t])[piece].item() for t, piece in enumerate(pieces)
    )


def plain_beam(sentence: int, settings: DecodingConfig) -> list[tuple[float, Prefix]]:
    """Return (score, ids) of one sentence's finished hypotheses: a plain beam search."""
    size = settings.beam_size
    beam: list[tuple[float, Prefix]] = [(0.0, ())]
    finished: list[tuple[float, Prefix]] = []
    for length in range(1, settings.max_length_extra + 1):
        forced = length == settings.max_length_extra
        candidates = [
            (log_prob + random_log_probs(sentence, prefix)[piece].item(), (*prefix, piece))
            for log_prob, prefix in beam
            for piece in ([EOS] if forced else [p for p in range(V) if p not in (PAD, BOS)])
        ]
        candidates.sort(reverse=True)
        for log_prob, pieces in candidates[:size]:
            if pieces[-1] == EOS:
                score = log_prob / ((5 + length) / 6) ** settings.length_penalty
                finished.append((score, pieces[:-1]))
        beam = [item for item in candidates if item[1][-1] != EOS][:size]
        if len(finished) >= size:
            likely = beam[0][0] / ((6 + length) / 6) ** settings.length_penalty if beam else -inf
            if size == 1 or max(finished)[0] >= likely:
                break
    return sorted(finished, reverse=True)[:size]


def table(probabilities: dict[Prefix, dict[int, float]]) -> Callable[[int, Prefix], Tensor]:
    """Return a function that looks up log-probabilities; pieces not listed get about 1e-6."""

    def log_probs(_: int, prefix: Prefix) -> Tensor:
        row = torch.full((V,), 1e-6)
        for piece, probability in probabilities.get(prefix, {UNK: 1.0}).items():
            row[piece] = probability
        return (row / row.sum()).log()

    return log_probs


# ---------------------------------------------------------- on known distributions


def test_beam_search_finds_what_greedy_search_misses() -> None:
    log_probs = table(
        {
            (): {A: 0.6, B: 0.4},
            (A,): {EOS: 0.5, C: 0.5},  # 0.30 each
            (B,): {EOS: 0.9, C: 0.1},  # 0.36: the best, though its first piece is less likely
        }
    )
    settings = options(1, extra=2)
    assert search(log_probs, [A], settings)[0][0].ids == [A]
    settings.beam_size = 2
    best = search(log_probs, [A], settings)[0][0]
    assert best.ids == [B], "the second beam was lost"
    assert best.log_prob == pytest.approx(math.log(0.4 * 0.9), abs=1e-3)


def test_the_length_penalty_changes_the_ranking() -> None:
    # log 0.5 = -0.69 for one piece (EOS), log 0.4 = -0.92 for three. Divided by the
    # penalty ((5 + 3) / 6)^alpha, the longer one wins where (4/3)^alpha > 0.92 / 0.69, that is for
    # alpha above 0.97.
    log_probs = table({(): {EOS: 0.5, A: 0.4, C: 0.1}, (A,): {B: 1.0}, (A, B): {EOS: 1.0}})
    for alpha, expected in ((0.0, []), (0.9, []), (1.1, [A, B])):
        settings = options(3, length_penalty=alpha, extra=3)
        best = search(log_probs, [A], settings)[0][0]
        assert best.ids == expected, f"alpha {alpha}"


@pytest.mark.parametrize("normalization", LengthNormalization)
@pytest.mark.parametrize("wanted", [None, 1])
@pytest.mark.parametrize("on_gpu", [False, True])
def test_a_certain_translation_is_not_cut_short(
    normalization: str, wanted: int | None, *, on_gpu: bool
) -> None:
    # The model is certain of [A] * 12. Each beginning of it ends with a probability of 0.001, which
    # is the second best continuation. So N = 3 beginnings are finished after 3 steps.
    steps: dict[Prefix, dict[int, float]] = {
        (A,) * n: {A: 0.999, EOS: 0.001} for n in range(12)
    } | {(A,) * 12: {EOS: 1.0}}
    settings = options(3, length_penalty=1.0, extra=20)
    settings.length_normalization = normalization
    model = cast("TranslationModel", FakeModel(table(steps)))
    ids, mask = source_batch([[A], [A, A]])
    with dispatch.as_on_accelerator() if on_gpu else nullcontext():
        found = beam_search(model, ids, mask, settings, wanted=wanted)
    assert [hypotheses[0].ids for hypotheses in found] == [[A] * 12] * 2


def test_one_beam_ends_with_its_first_hypothesis() -> None:
    # EOS has 0.5, the longer [A] 0.499 * 1.0; divided by (7 / 6)^2, [A] has the better score.
    log_probs = table({(): {EOS: 0.501, A: 0.499}, (A,): {EOS: 1.0}})
    settings = options(1, length_penalty=2.0, extra=4)
    assert search(log_probs, [A], settings)[0][0].ids == []
    settings.beam_size = 2
    assert search(log_probs, [A], settings)[0][0].ids == [A]


def test_length_penalty_is_equation_14_of_wu_et_al() -> None:
    assert length_penalty(1, 0.7) == 1.0, "(5 + 1) / 6 is 1"
    assert length_penalty(7, 1.0) == pytest.approx(2.0)  # 12 / 6
    assert length_penalty(19, 0.5) == pytest.approx(2.0)  # sqrt(24 / 6)
    assert length_penalty(123, 0.0) == 1.0


@pytest.mark.parametrize("sentence", range(4, 10))
def test_a_beam_as_wide_as_the_search_space_ranks_all_of_it(sentence: int) -> None:
    # 4 pieces are allowed (UNK among them), at most 3 before EOS: 1 + 4 + 16 + 64 translations.
    space = [list(ids) for n in range(4) for ids in product((UNK, A, B, C), repeat=n)]
    expected = sorted(space, key=lambda ids: log_prob_of(sentence, ids), reverse=True)
    (found,) = search(random_log_probs, [sentence], options(len(space)))
    assert [hypothesis.ids for hypothesis in found] == expected
    for hypothesis in found:
        exact = log_prob_of(sentence, hypothesis.ids)
        assert hypothesis.log_prob == pytest.approx(exact, abs=1e-4)
        assert hypothesis.score == hypothesis.log_prob, "alpha is 0"


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("beam_size", [1, 2, 3, 5, 8])
def test_a_batch_gives_the_results_of_single_sentences(beam_size: int, alpha: float) -> None:
    sentences = list(range(4, 24))
    settings = options(beam_size, length_penalty=alpha, extra=6)
    together = search(random_log_probs, sentences, settings)
    lengths = set()
    for sentence, found in zip(sentences, together, strict=True):
        expected = plain_beam(sentence, settings)
        assert [tuple(h.ids) for h in found] == [ids for _, ids in expected], (
            f"sentence {sentence}: rows of sentences or beams are mixed up"
        )
        assert [h.score for h in found] == pytest.approx([s for s, _ in expected], abs=1e-4)
        assert found == search(random_log_probs, [sentence], settings)[0]
        lengths.add(len(found[0].ids))
    assert len(lengths) > 2, "all sentences end at the same length, so this test checks nothing"


def test_the_maximum_length_is_kept_and_its_eos_is_scored() -> None:
    endless = table({(A,) * n: {A: 0.99, EOS: 0.01} for n in range(20)})
    model = cast("TranslationModel", FakeModel(endless))
    for source_length in (2, 3, 7):
        ids, mask = source_batch([[A] * (source_length - 1)])  # and EOS
        ((found,),) = beam_search(model, ids, mask, options(1, ratio=1.5, extra=2))
        limit = int(1.5 * source_length) + 2
        assert found.ids == [A] * (limit - 1), "the length is not the maximum length"
        expected = (limit - 1) * math.log(0.99) + math.log(0.01)
        assert found.log_prob == pytest.approx(expected, abs=1e-3), (
            "a forced EOS still has its probability"
        )


def test_pad_and_bos_are_never_produced() -> None:
    def log_probs(sentence: int, prefix: Prefix) -> Tensor:
        row = random_log_probs(sentence, prefix)
        row[[PAD, BOS]] = 3.0
        return row.log_softmax(0)

    for found in search(log_probs, list(range(4, 12)), options(4, extra=6)):
        for hypothesis in found:
            assert not {PAD, BOS, EOS} & set(hypothesis.ids)


# ----------------------------------------------------------- on every kind of model


@pytest.fixture
def sources(ragged_pairs: list[Any]) -> list[list[int]]:
    return [source for source, _ in ragged_pairs]


def greedy(model: TranslationModel, source: list[int], limit: int) -> tuple[list[int], float]:
    """Append the most probable piece until EOS; every step runs on the whole prefix."""
    ids, mask = source_batch([source])
    prefix, log_prob = [BOS], 0.0
    with torch.no_grad():
        while True:
            output = model(ids, mask, torch.tensor([prefix]))
            row = model.predictions(output)[0, -1].log_softmax(0)
            allowed = row.clone()
            allowed[[PAD, BOS]] = -math.inf
            piece = EOS if len(prefix) == limit else int(allowed.argmax())
            log_prob += row[piece].item()
            if piece == EOS:
                return prefix[1:], log_prob
            prefix.append(piece)


def test_one_beam_is_greedy_search(model: TranslationModel, sources: list[list[int]]) -> None:
    found = beam_search(model, *source_batch(sources), options(1, ratio=1.0, extra=3))
    for source, hypotheses in zip(sources, found, strict=True):
        ids, log_prob = greedy(model, source, limit=len(source) + 1 + 3)
        assert len(hypotheses) == 1
        assert hypotheses[0].ids == ids
        assert hypotheses[0].log_prob == pytest.approx(log_prob, abs=1e-4)


def test_probabilities_and_weights_are_those_of_teacher_forcing(
    model: TranslationModel, sources: list[list[int]], batch_of: Collate
) -> None:
    settings = options(3, length_penalty=0.6, ratio=1.0, extra=3)
    found = beam_search(model, *source_batch(sources), settings, need_weights=True)
    for source, hypotheses in zip(sources, found, strict=True):
        assert 1 <= len(hypotheses) <= 3
        assert len({tuple(h.ids) for h in hypotheses}) == len(hypotheses), (
            "a hypothesis is returned twice"
        )
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)
        for hypothesis in hypotheses:
            assert not {PAD, BOS, EOS} & set(hypothesis.ids)
            length = len(hypothesis.ids) + 1
            assert length <= len(source) + 1 + 3
            log_probs, weights = teacher_forced(model, batch_of([(source, hypothesis.ids)]))
            assert hypothesis.log_prob == pytest.approx(log_probs.item(), abs=1e-4)
            penalty = ((5 + length) / 6) ** 0.6
            assert hypothesis.score == pytest.approx(hypothesis.log_prob / penalty)
            if weights is None:
                assert hypothesis.weights is None
                continue
            assert hypothesis.weights is not None
            torch.testing.assert_close(
                hypothesis.weights,
                weights[0],
                rtol=1e-4,
                atol=1e-5,
                msg=lambda text: f"weights do not follow their hypothesis\n{text}",
            )


def test_results_do_not_depend_on_the_batch(
    model: TranslationModel, sources: list[list[int]]
) -> None:
    settings = options(4, length_penalty=1.0, ratio=1.0, extra=3)
    together = beam_search(model, *source_batch(sources), settings)
    for source, found in zip(sources, together, strict=True):
        (alone,) = beam_search(model, *source_batch([source]), settings)
        assert [h.ids for h in found] == [h.ids for h in alone]
        assert [h.score for h in found] == pytest.approx([h.score for h in alone], abs=1e-4)
